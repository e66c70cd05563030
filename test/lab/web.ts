import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecResult, LabContainer } from './container.ts'

export interface FetchOptions {
  readonly family?: 4 | 6
  readonly timeoutMs?: number
}

/** Fetches a page from inside a container; curl's code 7 is refused, 28 time-out, 6 no such name. */
export function fetchPage(from: LabContainer, url: string, options: FetchOptions = {}): Promise<ExecResult> {
  const timeoutMs = options.timeoutMs ?? 5000
  const family = options.family === undefined ? [] : [`-${options.family}`]
  return from.exec(['curl', '-sS', '-g', ...family, '--max-time', String(timeoutMs / 1000), url], {
    timeoutMs: timeoutMs + 5000,
  })
}

/** A TCP connection from a container on which the far end sends a line every 100 ms, until somebody cuts it. */
export class LiveConnection {
  private constructor(
    private readonly from: LabContainer,
    private readonly file: string,
  ) {}

  /** `origin` as in `http://203.0.113.10:443`. Rejects when nothing comes within 5 s. */
  static async open(from: LabContainer, origin: string): Promise<LiveConnection> {
    const file = `/tmp/live-${(opened += 1)}`
    await from.exec([
      'sh',
      '-c',
      `curl -gsN --max-time 600 ${origin}/stream </dev/null >${file} 2>/dev/null &`,
    ])
    const connection = new LiveConnection(from, file)
    for (let tries = 0; tries < 25; tries += 1) {
      if ((await connection.lines()) > 1) return connection
      await sleep(100)
    }
    throw new Error(`nothing comes from ${origin}`)
  }

  /** Lines received so far. */
  async lines(): Promise<number> {
    const { stdout } = await this.from.exec(['sh', '-c', `wc -l <${this.file}`])
    return Number(stdout.trim()) || 0
  }

  /** True when data arrives within the time. */
  async flows(withinMs = 1000): Promise<boolean> {
    const before = await this.lines()
    await sleep(withinMs)
    return (await this.lines()) > before
  }
}

let opened = 0
