import { setTimeout as sleep } from 'node:timers/promises'
import { encode } from 'dns-packet'
import { expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { DnsQuery } from './dns-main.ts'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { HOST, INET } from './topology.ts'
import { heldBy, reached } from './witness.ts'

/** A container answers the host's own questions in the resolver's name, faster than the resolver does. */
const lab = useLab({ name: 'dns-forged' })

const VICTIM = 'victim.example'
const FORGED = '203.0.113.240'

/** The question that the daemon waits with now, as only somebody on its way can know it. */
async function openQuestion(): Promise<DnsQuery> {
  await lab().inet.forget()
  for (let tries = 0; tries < 400; tries += 1) {
    const question = (await lab().inet.queries(VICTIM)).find(({ type }) => type === 'A')
    if (question) return question
    await sleep(50)
  }
  throw new Error('the daemon asks nothing')
}

function answerFor({ id }: DnsQuery): Buffer {
  const questions = [{ type: 'A', name: VICTIM }] as const
  const answers = [{ type: 'A', name: VICTIM, ttl: 60, data: FORGED }] as const
  return encode({ type: 'response', id, flags: 0x0180, questions: [...questions], answers: [...answers] })
}

async function forge(from: LabContainer, question: DnsQuery, ports: string): Promise<void> {
  const payload = answerFor(question).toString('hex')
  const options = `--src=${INET.dns} --sport=53 --dst=${HOST.address} --ports=${ports} --payload=${payload}`
  const { code, stderr } = await from.exec(['sender', 'forge', ...options.split(' ')])
  if (code !== 0) throw new Error(stderr)
}

test('no answer in the name of the resolver is taken from a guarded network', async () => {
  await lab().network('shop')
  const guarded = await inside(lab(), { network: 'shop' })
  const leftAlone = await inside(lab(), { network: 'bridge' })
  await lab().inet.dns({ [VICTIM]: { silent: true } })
  await guard(lab(), {
    config: [
      'guard: { except: [bridge] }',
      `resolver: { servers: [${INET.dns}], timeout: 10s, refresh: { min: 1s, max: 1s } }`,
      `allow: [${VICTIM}]`,
    ].join('\n'),
  })

  for (let round = 0; round < 3; round += 1) {
    const question = await openQuestion()
    await forge(guarded, question, `${question.fromPort}-${question.fromPort}`)
    // Who does not know the port tries them all.
    await forge(guarded, question, '32768-60999')
    expect(await heldBy(lab(), VICTIM)).toEqual([])
  }
  const { stdout } = await lab().host(['iptables-save', '-c', '-t', 'raw'])
  const dropped = Number(/^\[(\d+):\d+\] -A EMBARGOD-SOURCE .*EMBARGOD-D-FORGED/m.exec(stdout)?.[1])
  expect(dropped).toBeGreaterThanOrEqual(3 * (60_999 - 32_768))
  await lab().waitFor(
    'the network is told of',
    async () => ((await scrape(lab())).value('denied_packets_total', { reason: 'forged' }) ?? 0) >= dropped,
    30_000,
  )
  expect(await reached(guarded, [FORGED])).toEqual([])

  // The same packet from a network that nobody guards is believed: what was sent would have been an answer.
  for (let round = 0; round < 5 && (await heldBy(lab(), VICTIM)).length === 0; round += 1) {
    const question = await openQuestion()
    await forge(leftAlone, question, `${question.fromPort}-${question.fromPort}`)
    await sleep(200)
  }
  expect(await heldBy(lab(), VICTIM)).toEqual([FORGED])
  await lab().waitFor('it is open', async () => (await reached(guarded, [FORGED])).length === 1)
})
