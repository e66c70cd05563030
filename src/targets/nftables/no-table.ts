import { ToolError } from '../../system/exec.ts'

/** `nft` reports that the table does not exist: an answer, not a failure. */
export const isNoTable = (error: unknown): boolean =>
  error instanceof ToolError && /No such file or directory|does not exist/.test(error.stderr)
