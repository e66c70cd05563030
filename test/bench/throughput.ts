import { z } from 'zod'
import type { Figure } from './figure.ts'
import { compareTraffic } from './traffic.ts'
import { SERVER } from './traffic-hosts.ts'

const IperfReport = z.object({ end: z.object({ sum_received: z.object({ bits_per_second: z.number() }) }) })

export const throughput: Figure = {
  name: 'throughput',
  title: 'Throughput from a container to the internet',
  method:
    'One TCP stream of iperf3 from a container on the default bridge (behind the proxy: on an internal network). The 5,000 rules let live connections pass first.',
  measure: ({ rounds, seconds }) =>
    compareTraffic({
      unit: 'Gbit/s',
      digits: 1,
      reach: 0.97,
      // One rule passes live connections there as here: on a par is all there is.
      reachRules: 0.97,
      rounds,
      turn: async ({ client, target }) => {
        const { stdout, code } = await client.exec(
          ['iperf3', '-c', target, '-p', String(SERVER.iperfPort), '-t', String(seconds), '-J'],
          { timeoutMs: (seconds + 20) * 1000 },
        )
        if (code !== 0) throw new Error(`iperf3 ended with ${code}: ${stdout.slice(-500)}`)
        return IperfReport.parse(JSON.parse(stdout)).end.sum_received.bits_per_second / 1e9
      },
    }),
}
