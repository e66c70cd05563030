import { ToolError } from '../../system/exec.ts'

/** `nft` says that what was asked for is not there, which is an answer and no failure. */
export const isNoTable = (error: unknown): boolean =>
  error instanceof ToolError && /No such file or directory|does not exist/.test(error.stderr)
