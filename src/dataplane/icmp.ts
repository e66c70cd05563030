/** The type of a ping, by family. */
export const ECHO_REQUEST = { 4: 8, 6: 128 } as const
