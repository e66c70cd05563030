import { beforeAll, expect, test } from 'vitest'
import { origin, reached } from './reach.ts'
import { inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'

/**
 * While containers with a right start and stop, others send in their names, and take over their addresses: what only the former may reach
 * is never reached by the latter. Those who may use port 80 alone, so whatever comes to port 81 was somebody else's.
 */
const lab = useLab({ name: 'policies-churn' })

/** `EMBARGOD_CHURN=500` for the long form. */
const ROUNDS = Number(process.env['EMBARGOD_CHURN'] ?? 12)

const SECRET = { 4: '203.0.113.40', 6: '2001:db8:f::40' } as const
const SECRET_PORT = 81

const CONFIG = `
allow: []
policies:
  keeper:
    match: { label: role=keeper }
    allow: [{ cidrs: [${SECRET[4]}, '${SECRET[6]}'], ports: [80-81/tcp] }]
`

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  await lab().daemon({ config: CONFIG })
})

const flood = (family: 4 | 6, more = ''): string =>
  `sender flood --proto=syn --dst=${SECRET[family]} --port=${SECRET_PORT} ${more}`

test(
  `${ROUNDS} containers come and go, and nobody gets what was theirs`,
  { timeout: 60_000 + ROUNDS * 6_000 },
  async () => {
    const liar = await inside(lab(), { network: 'shop' })
    const { ipv4, ipv6 } = await liar.addresses()
    const first = { 4: ipv4[0]?.replace(/\.\d+$/, '.2') ?? '', 6: ipv6[0]?.replace(/::.*$/, '::2') ?? '' }
    // In the name of every address that the network is about to give out.
    await Promise.all(
      ([4, 6] as const).map((family) =>
        liar.exec([
          'sh',
          '-c',
          `(while :; do ${flood(family, `--src=${first[family]} --spread=8 --rate=400 --seconds=60`)}; done) >/dev/null 2>&1 &`,
        ]),
      ),
    )
    for (let round = 0; round < ROUNDS; round += 1) {
      const family = round % 2 === 0 ? 4 : 6
      const keeper = await lab().container({ network: 'shop', labels: { role: 'keeper' } })
      await lab().waitFor(
        'it has its right',
        async () => (await reached(keeper, [origin(SECRET[family])], { seconds: 1 })).length === 1,
      )
      // The heir sends from its first instruction, from the address that has just become free.
      const [, heir] = await Promise.all([
        keeper.stop(),
        lab().container({
          network: 'shop',
          cmd: ['sh', '-c', `${flood(4, '--rate=500 --seconds=1')}; sleep 600`],
        }),
      ])
      const next = await lab().container({
        network: 'shop',
        cmd: [
          'sh',
          '-c',
          `${flood(6, '--rate=500 --seconds=1')} & ${flood(4, '--rate=500 --seconds=1')}; sleep 600`,
        ],
      })
      await new Promise((resolve) => setTimeout(resolve, 300))
      await Promise.all([heir.stop(), next.stop()])
      for (const one of [4, 6] as const)
        expect([round, await lab().farEnd.count(SECRET[one], { proto: 'tcp', port: SECRET_PORT })]).toEqual([
          round,
          0,
        ])
    }
    expect((await scrape(lab())).value('forged_frames_total')).toBeGreaterThan(ROUNDS)
    // The test can fail: who has the right gets there.
    const keeper = await inside(lab(), { network: 'shop', labels: { role: 'keeper' } })
    await lab().waitFor('port 81 is reached by who may', async () => {
      await keeper.exec(flood(4, '--rate=50 --seconds=1').split(' '))
      return (await lab().farEnd.count(SECRET[4], { proto: 'tcp', port: SECRET_PORT })) > 0
    })
  },
)
