import type { RunResult } from '../../../src/system/exec.ts'
import type { Lab } from '../lab.ts'
import { type Scene, STRANGER } from './scene.ts'

/** What the commands and the metrics say of the host after the story. */
export async function showCommands(scene: Scene): Promise<void> {
  await show(scene, ['status'], { code: 0, meaning: 'healthy' }, withFewCounters)
  await show(scene, ['rules'], { code: 0, meaning: 'listed' }, onTheWayToTheVerdict)
  await show(scene, ['explain', 'shop_api', `${STRANGER}:443`], { code: 6, meaning: 'denied' })
  await show(scene, ['verify'], { code: 0, meaning: 'proven' })

  const { lab, screen } = scene
  screen.heading('$ curl http://127.0.0.1:9464/metrics (three of them)')
  const page = await screen.during('waiting for the next reading of the counters', () => metrics(lab))
  screen.text(page.filter((line) => METRICS.some((pattern) => pattern.test(line))).join('\n'))
  await screen.step('each counts what the story did', () => {
    const missing = METRICS.filter((pattern) => !page.some((line) => pattern.test(line))).length
    return Promise.resolve({ ok: missing === 0, back: missing === 0 ? 'all there' : `${missing} missing` })
  })
}

async function show(
  { host, screen }: Scene,
  argv: readonly string[],
  wanted: { readonly code: number; readonly meaning: string },
  shorten = (text: string) => text,
): Promise<void> {
  const command = `embargod ${argv.join(' ')}`
  screen.heading(`$ ${command}`)
  const beganMs = performance.now()
  const { exitCode, stderr, stdout } = await screen.during(command, () => host.embargod(...argv))
  const tookMs = performance.now() - beganMs
  screen.text(shorten(stdout) + stderr)
  await screen.step(`exit code ${wanted.code}: ${wanted.meaning}`, () =>
    Promise.resolve({ ok: exitCode === wanted.code, back: `exit code ${exitCode}`, tookMs }),
  )
}

/** Of every rule that counts, the ones of the policies. */
function withFewCounters(status: string): string {
  let inCounters = false
  let left = 0
  const lines = status.split('\n').flatMap((line) => {
    if (/^[A-Z]/.test(line) && !line.includes('  ')) inCounters = line === 'COUNTERS'
    if (inCounters && line.startsWith('host ')) {
      left += 1
      return []
    }
    if (inCounters && line === '') return [`(and ${left} of the host's rules)`, '']
    return [line]
  })
  return lines.join('\n')
}

/** Of the IPv4 rules those that a packet met between Docker's chain and the verdict. */
function onTheWayToTheVerdict(listing: string): string {
  const [ipv4 = ''] = listing.split('\n\n')
  const [title = '', columns = '', ...rules] = ipv4.split('\n')
  const met = rules.filter((rule) => {
    const [, chain = '', packets = ''] = /^ *\d+ {2}filter (\S+) +(\S+)/.exec(rule) ?? []
    return (
      /^(DOCKER-USER|EMBARGOD|EMBARGOD-(JUDGE|REPLY|VERDICT)|EMBARGOD-P-.*)$/.test(chain) && packets !== '0'
    )
  })
  const rest = `(those that a packet met on its way to the verdict; ${rules.length - met.length} more, and IPv6: \`embargod rules\`)`
  return [title, columns, ...met, rest].join('\n')
}

const METRICS = [
  /^embargod_denied_packets_total\{.*network="shop".*reason="policy".*\} [1-9]/,
  /^embargod_domain_connections_total\{.*domain="api\.stripe\.com".*family="ipv4".*\} [1-9]/,
  /^embargod_drift_repairs_total\{.*\} [1-9]/,
]

/** Counters of the kernel are read now and then, never by a scrape: a moment passes until they show. */
async function metrics(lab: Lab): Promise<readonly string[]> {
  let lines: readonly string[] = []
  const read = async () => {
    const page: RunResult = await lab.host(['curl', '-sS', 'http://127.0.0.1:9464/metrics'])
    lines = page.stdout.split('\n')
    return METRICS.every((pattern) => lines.some((line) => pattern.test(line)))
  }
  await lab.waitFor('the metrics count it', read, 30_000).catch(() => undefined)
  return lines
}

/** How to go on by hand in a box that stays. */
export function showWayIn({ lab, screen }: Scene): void {
  screen.heading('The box stays open. Enter the Docker host:')
  screen.text(`nsenter -t ${lab.hostBox.pid} -n -p -m bash`)
  screen.heading('and there:')
  screen.text(
    [
      'embargod status',
      'docker ps',
      'docker exec -it shop_api sh',
      'docker exec shop_api curl -sS --max-time 3 http://api.stripe.com/',
      `docker exec shop_api curl -sS --max-time 3 http://${STRANGER}/`,
      `docker exec shop_api sender flood --dst=${STRANGER} --rate=1000 --seconds=5`,
      `embargod explain shop_api ${STRANGER}`,
      'vi /etc/embargod/embargod.yaml; embargod reload',
    ].join('\n'),
  )
  screen.heading(`What arrived in the little internet (${STRANGER} had its share before the guard stood):`)
  screen.text(`nsenter -t ${lab.inetBox.pid} -n nft list set inet far-end all4`)
  screen.heading('To remove it:')
  screen.text('npm run demo -- --down')
}
