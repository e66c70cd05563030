import { describe, expect, it } from 'vitest'
import { checkPrivileges } from '../../../src/system/capabilities.ts'
import { run } from '../../../src/system/exec.ts'
import { createServiceManager } from '../../../src/system/systemd.ts'

/** A service manager that notes what it is told. */
function manager(environment: Record<string, string | undefined>, fails = false) {
  const told: string[][] = []
  const errors: unknown[] = []
  const service = createServiceManager({
    environment,
    pid: 42,
    onError: (error) => errors.push(error),
    run: async (argv) => {
      told.push(argv.slice(1))
      if (fails) throw new Error('no such program')
      return { stdout: '', stderr: '', exitCode: 0 }
    },
  })
  return { service, told, errors }
}

describe('the service manager', () => {
  it('hears of every turn of life in our name', async () => {
    const { service, told } = manager({ NOTIFY_SOCKET: '/run/systemd/notify' })
    await service.ready('12 names,\n2 networks')
    await service.reloading()
    await service.watchdog()
    await service.stopping()
    expect(told.map((argv) => argv.slice(0, 2))).toEqual([
      ['--pid=42', 'READY=1'],
      ['--pid=42', 'RELOADING=1'],
      ['--pid=42', 'WATCHDOG=1'],
      ['--pid=42', 'STOPPING=1'],
    ])
    expect(told[0]?.[2]).toBe('STATUS=12 names, 2 networks')
  })

  it('is found by the tool that speaks for us, which inherits nothing', async () => {
    let heard = ''
    const service = createServiceManager({
      environment: { NOTIFY_SOCKET: '/run/systemd/notify' },
      pid: 42,
      onError: (error) => expect.fail(String(error)),
      run: async (_argv, options) => {
        const result = await run(['env'], options)
        heard = result.stdout
        return result
      },
    })
    await service.ready('ready')
    expect(heard.split('\n')).toContain('NOTIFY_SOCKET=/run/systemd/notify')
  })

  it('is not spoken to where there is none', async () => {
    const { service, told } = manager({})
    await service.ready('up')
    expect(told).toEqual([])
  })

  it('may fail without harm', async () => {
    const { service, errors } = manager({ NOTIFY_SOCKET: '/x' }, true)
    await service.watchdog()
    expect(errors).toHaveLength(1)
  })

  it.each([
    [{ WATCHDOG_USEC: '30000000' }, 15_000],
    [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '42' }, 15_000],
    [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '43' }, undefined],
    [{ WATCHDOG_USEC: 'soon' }, undefined],
    [{}, undefined],
  ])('%j feeds the watchdog every %s ms', (environment, expected) =>
    expect(manager(environment).service.watchdogIntervalMs).toBe(expected),
  )
})

const status = (uid: number, capabilities: string) =>
  `Name:\tnode\nUid:\t${uid}\t${uid}\t0\t0\nCapEff:\t${capabilities}\n`

async function missing(processStatus: string, absent: string[] = []) {
  const found = await checkPrivileges({
    processStatus: async () => processStatus,
    hasTool: async (name) => !absent.includes(name),
  })
  return found.map(({ required, message }) => `${required ? 'required' : 'optional'}: ${message}`)
}

describe('checkPrivileges', () => {
  it('finds nothing missing for root with all tools', async () =>
    expect(await missing(status(0, '000001ffffffffff'))).toEqual([]))

  it('asks for root', async () => {
    const lines = await missing(status(1000, '0000000000000000'))
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^required: not root.*sudo/)
  })

  it('names each capability that a container lacks', async () => {
    const lines = await missing(status(0, '00000000a80425fb'))
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('--cap-add NET_ADMIN')
    expect(await missing(status(0, '0000000000000000'))).toHaveLength(2)
  })

  it('names each program with its package, required ones first', async () => {
    const lines = await missing(status(0, '000001ffffffffff'), ['nft', 'ipset'])
    expect(lines[0]).toMatch(/^required: no program ipset.*apt-get install ipset$/)
    expect(lines[1]).toMatch(/^optional: no program nft.*apt-get install nftables$/)
  })

  it('can look at this very process', async () => expect(await checkPrivileges()).toBeInstanceOf(Array))
})
