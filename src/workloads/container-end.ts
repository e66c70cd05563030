/** Is this port the host's end of a container's pair? The engine names it `veth` and 7 hex digits. */
export const isContainersEnd = (port: {
  readonly name: string
  readonly kind?: string | undefined
}): boolean => port.kind === 'veth' && /^veth[0-9a-f]{7}$/.test(port.name)
