import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Argv, Service } from '../box.ts'
import type { Lab } from '../lab.ts'

export const WIRE = fileURLToPath(new URL('wire.pl', import.meta.url))

let written = 0

/** Puts frames where the wire program finds them; resolves with the name of the file. */
export async function writeFrames(folder: string, frames: readonly Buffer[]): Promise<string> {
  const name = `${(written += 1)}.frames`
  await writeFile(join(folder, name), frames.map((one) => `${one.toString('hex')}\n`).join(''))
  return name
}

const Report = z.object({ count: z.number(), first: z.array(z.string()) })

/** Counts what carries a secret where it comes in, from the moment it is there until it is asked. */
export class Watch {
  private constructor(private readonly service: Service) {}

  /** Frames that come in by an interface of the little internet or of the host. */
  static onInterface(lab: Lab, where: 'host' | 'internet', link: string, secret: Buffer): Promise<Watch> {
    return Watch.start(lab, where, ['perl', WIRE, 'watch', link, secret.toString('hex')])
  }

  /** Frames that come in by an interface of a container. */
  static inContainer(lab: Lab, pid: number, link: string, secret: Buffer): Promise<Watch> {
    const argv = ['perl', WIRE, 'watch', link, secret.toString('hex')]
    return Watch.start(lab, 'host', ['nsenter', `--net=/proc/${pid}/ns/net`, ...argv])
  }

  /** Datagrams to a port of the host. */
  static onPort(lab: Lab, port: number, secret: Buffer): Promise<Watch> {
    return Watch.start(lab, 'host', ['perl', WIRE, 'listen', String(port), secret.toString('hex')])
  }

  private static async start(lab: Lab, where: 'host' | 'internet', argv: Argv): Promise<Watch> {
    const service = lab.service(where, argv)
    await lab.waitFor('watching', () => service.exitCode !== undefined || service.log.startsWith('ready'))
    if (service.exitCode !== undefined) throw new Error(`watching: ${service.log}`)
    return new Watch(service)
  }

  /** Ends it, after what is still on its way had time to arrive. */
  async count(settleMs = 500): Promise<{ readonly count: number; readonly first: readonly Buffer[] }> {
    await sleep(settleMs)
    await this.service.stop('SIGTERM')
    const said = this.service.log.split('\n').find((line) => line.startsWith('{'))
    if (said === undefined) throw new Error(`watching: ${this.service.log}`)
    const { count, first } = Report.parse(JSON.parse(said))
    return { count, first: first.map((hex) => Buffer.from(hex, 'hex')) }
  }

  async stop(): Promise<void> {
    await this.service.stop('SIGKILL')
  }
}
