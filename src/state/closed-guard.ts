import { join } from 'node:path'
import type { Backstop } from '../dataplane/model.ts'
import { closedGuard } from '../targets/backstop/boot.ts'
import { renderBackstop } from '../targets/backstop/render.ts'
import { writeAtomically } from '../system/atomic-file.ts'

export const CLOSED_GUARD_FILE = 'closed-guard.nft'

/** Writes the backstop as a file that `nft -f` loads at boot. It closes the host's bridges, even where rules of ours that somebody saved are loaded again. */
export async function writeClosedGuard(directory: string, backstop: Backstop): Promise<void> {
  await writeAtomically(join(directory, CLOSED_GUARD_FILE), renderBackstop(closedGuard(backstop)), {
    makeDirectory: true,
  })
}
