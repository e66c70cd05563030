import type { Lab } from '../lab/lab.ts'

/** The number of passes that the daemon ran so far, from its metrics; a pass with several triggers counts once. */
export async function passes(lab: Lab): Promise<number> {
  const { stdout } = await lab.host(['curl', '-sS', 'http://127.0.0.1:9464/metrics'])
  const found = /^embargod_reconcile_duration_seconds_count (\d+)$/m.exec(stdout)?.[1]
  if (found === undefined) throw new Error(`no count of passes:\n${stdout.slice(0, 2000)}`)
  return Number(found)
}
