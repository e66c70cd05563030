import { afterAll, beforeAll, beforeEach } from 'vitest'
import { Lab, type LabOptions } from './lab.ts'

/** One lab for all tests of a file; a test that fails prints the host's firewall as it was then. */
export function useLab(options: LabOptions = {}): () => Lab {
  let lab: Lab | undefined
  const current = (): Lab => {
    if (!lab) throw new Error('the lab runs only within tests')
    return lab
  }
  beforeAll(async () => {
    lab = await Lab.start(options)
  })
  beforeEach(({ onTestFailed }) => {
    onTestFailed(async () => console.error(await current().dump()))
  })
  afterAll(() => lab?.stop())
  return current
}
