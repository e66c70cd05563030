import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { REQUEST_LIMITS, type RequestLimits } from '../../../src/observe/connection-room.ts'
import { ListenError, startHttpServer } from '../../../src/observe/http.ts'
import type { HttpServer } from '../../../src/observe/http.ts'

const servers: HttpServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

interface Wanted {
  reasons?: string[]
  port?: number
  render?: () => Promise<string>
  limits?: RequestLimits
}

async function start(options: Wanted = {}) {
  const server = await startHttpServer({
    host: '127.0.0.1',
    port: options.port ?? 0,
    metrics: { contentType: 'text/plain; version=0.0.4', render: options.render ?? (async () => 'up 1\n') },
    notReady: () => options.reasons ?? [],
    ...(options.limits ? { limits: options.limits } : {}),
  })
  servers.push(server)
  return { server, url: (path: string) => `http://127.0.0.1:${server.port}${path}` }
}

describe('the HTTP server', () => {
  it('serves the metrics page', async () => {
    const { url } = await start()
    const response = await fetch(url('/metrics?x=1'))
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toContain('version=0.0.4')
    expect(await response.text()).toBe('up 1\n')
  })

  it('is ready without reasons and says why when it is not', async () => {
    const reasons: string[] = []
    const { url } = await start({ reasons })
    const ready = await fetch(url('/readyz'))
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, reasons: [] }])
    reasons.push('Docker does not answer')
    const waiting = await fetch(url('/readyz'))
    expect([waiting.status, await waiting.json()]).toEqual([
      503,
      { ready: false, reasons: ['Docker does not answer'] },
    ])
    expect((await fetch(url('/healthz'))).status).toBe(200)
  })

  it.each([
    ['GET', '/', 404],
    ['GET', '/metrics/../etc', 404],
    ['POST', '/metrics', 405],
    ['DELETE', '/readyz', 405],
    ['HEAD', '/healthz', 200],
  ])('%s %s is %i', async (method, path, status) => {
    const { url } = await start()
    expect((await fetch(url(path), { method })).status).toBe(status)
  })

  it('answers who asks while others connect and say nothing, and ends those soon', async () => {
    const limits = { ...REQUEST_LIMITS, headersTimeout: 500, connectionsCheckingInterval: 100 }
    const { server, url } = await start({ limits })
    const idle = await Promise.all(
      Array.from({ length: 400 }, async () => {
        const socket = connect(server.port, '127.0.0.1')
        socket.on('error', () => undefined)
        await once(socket, 'connect')
        return socket.resume()
      }),
    )
    const startedMs = performance.now()
    expect((await fetch(url('/healthz'), { signal: AbortSignal.timeout(3000) })).status).toBe(200)
    expect(performance.now() - startedMs).toBeLessThan(3000)
    for (const socket of idle) if (!socket.closed) await once(socket, 'close')
    expect(performance.now() - startedMs).toBeLessThan(10_000)
  }, 20_000)

  it('lets nobody give way who is being answered', async () => {
    let render: (page: string) => void = () => undefined
    const { server, url } = await start({ render: () => new Promise((resolve) => (render = resolve)) })
    const scrape = fetch(url('/metrics'))
    const idle: Socket[] = []
    for (let at = 0; at < 300; at++) {
      const socket = connect(server.port, '127.0.0.1')
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      idle.push(socket)
    }
    render('up 1\n')
    expect(await (await scrape).text()).toBe('up 1\n')
    for (const socket of idle) socket.destroy()
  })

  it('answers 500 when rendering fails, and lives on', async () => {
    const { url } = await start({ render: () => Promise.reject(new Error('broken collector')) })
    expect((await fetch(url('/metrics'))).status).toBe(500)
    expect((await fetch(url('/healthz'))).status).toBe(200)
  })

  it('says that the port is taken, and can have it once it is free', async () => {
    const first = await start()
    const { port } = first.server
    await expect(start({ port })).rejects.toThrow(ListenError)
    await expect(start({ port })).rejects.toMatchObject({ kind: 'in-use' })
    await first.server.close()
    const second = await start({ port })
    expect((await fetch(second.url('/healthz'))).status).toBe(200)
  })
})
