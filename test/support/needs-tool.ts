import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'vitest'

/**
 * Skips a test where a program is not installed, and says so: `beforeEach(needsTool('nft'))` for many, `needsTool('nft')(context)` within one. The
 * run counts such tests in a line of their own above its closing line.
 */
export const needsTool =
  (name: string) =>
  ({ skip }: Pick<TestContext, 'skip'>): void =>
    skip(!hasTool(name), `${name} is missing`)

export function hasTool(name: string, path = process.env['PATH'] ?? ''): boolean {
  return path.split(delimiter).some((directory) => isProgram(join(directory, name)))
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
