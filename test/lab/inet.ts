import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Box, Service } from './box.ts'
import type { DnsQuery } from './dns-main.ts'
import type { DnsScript } from './dns-script.ts'
import type { InetAnswer, InetOrder, Visit } from './inet-protocol.ts'

const MAIN = fileURLToPath(new URL('inet-main.ts', import.meta.url))

/** The servers of the little internet, and what they saw. */
export class Inet {
  private service: Service | undefined

  constructor(
    private readonly box: Box,
    private readonly directory: string,
  ) {}

  async start(): Promise<void> {
    const service = this.box.start(
      [process.execPath, '--import', 'tsx', MAIN, this.socket],
      join(this.directory, 'inet.log'),
    )
    this.service = service
    for (let waitedMs = 0; waitedMs < 20_000 && service.exitCode === undefined; waitedMs += 20) {
      if (await this.ask({ do: 'dns', scripts: DEFAULT_NAMES }).catch(() => undefined)) return
      await sleep(20)
    }
    throw new Error(`the internet's servers did not start:\n${service.log}`)
  }

  /** Says what the DNS server answers for these names from now on; null: nothing is known of the name any more. */
  async dns(scripts: Readonly<Record<string, DnsScript | null>>): Promise<void> {
    await this.ask({ do: 'dns', scripts })
  }

  /** Forgets every name and gives the ones that a fresh lab has. */
  async resetDns(): Promise<void> {
    await this.ask({ do: 'dns-clear' })
    await this.dns(DEFAULT_NAMES)
  }

  /** As a dead DNS server: questions are not even received. */
  async stopDns(): Promise<void> {
    await this.box.run(['nft', '-f', '-'], { input: DEAD_DNS })
  }

  async startDns(): Promise<void> {
    await this.box.run(['nft', 'delete', 'table', 'inet', 'dead-dns'])
  }

  async queries(name?: string): Promise<readonly DnsQuery[]> {
    const answer = await this.ask({ do: 'queries' })
    const queries = answer.do === 'queries' ? answer.queries : []
    return name === undefined ? queries : queries.filter((query) => query.name.toLowerCase() === name)
  }

  /** TCP connections accepted since the start or the last `forget`, by port where given. */
  async visits(port?: number): Promise<readonly Visit[]> {
    const answer = await this.ask({ do: 'visits' })
    const visits = answer.do === 'visits' ? answer.visits : []
    return port === undefined ? visits : visits.filter((visit) => visit.port === port)
  }

  async forget(): Promise<void> {
    await this.ask({ do: 'forget' })
  }

  async hangUp(): Promise<void> {
    await this.ask({ do: 'hang-up' })
  }

  get log(): string {
    return this.service?.log ?? ''
  }

  private get socket(): string {
    return join(this.directory, 'inet.sock')
  }

  private ask(order: InetOrder): Promise<InetAnswer> {
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: this.socket, method: 'POST', timeout: 10_000 }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('end', () => {
          const answer: InetAnswer = JSON.parse(text)
          resolve(answer)
        })
      })
      call.on('timeout', () => call.destroy(new Error('the internet does not answer')))
      call.on('error', reject)
      call.end(JSON.stringify(order))
    })
  }
}

/** Names that every lab starts with. */
export const DEFAULT_NAMES = {
  'allowed.example': { a: ['203.0.113.10'], aaaa: ['2001:db8:f::10'] },
  'api.example': { a: ['203.0.113.11'], aaaa: ['2001:db8:f::11'] },
  'cdn.example': { cname: 'edge.cdn.example' },
  'edge.cdn.example': { a: ['203.0.113.20', '203.0.113.21'], aaaa: ['2001:db8:f::20'], ttl: 30 },
  'mail.example': { a: ['203.0.113.25'], aaaa: ['2001:db8:f::25'] },
  'db.example': { a: ['203.0.113.54'] },
  'forbidden.example': { a: ['203.0.113.66'], aaaa: ['2001:db8:f::66'] },
  'lying.example': { a: ['169.254.169.254'], aaaa: ['fd00:ec2::254'] },
} as const satisfies Record<string, DnsScript>

const DEAD_DNS = `table inet dead-dns {
  chain in {
    type filter hook input priority -300
    udp dport 53 drop
    tcp dport 53 drop
  }
}
`
