import type { Container } from './model.ts'

/** The container, the container whose network namespace it joined, the one whose namespace that joined, and so on. */
export function namespaceChain(container: Container, all: readonly Container[]): Container[] {
  const chain: Container[] = []
  let current: Container | undefined = container
  while (current && !chain.includes(current)) {
    chain.push(current)
    const target: string | undefined = /^container:(.+)$/.exec(current.networkMode)?.[1]
    current = target === undefined ? undefined : all.find(({ id, name }) => id === target || name === target)
  }
  return chain
}
