import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { useLab } from './shared-lab.ts'
import { HOST } from './topology.ts'

/** How the lab runs the program under test, shown with a stand-in that says what it was given. */
const lab = useLab({ name: 'daemon' })

const STAND_IN = `
const { existsSync, writeFileSync } = require('node:fs')
const { networkInterfaces } = require('node:os')
const ready = process.env.EMBARGOD_RUNTIME_DIR + '/ready'
if (process.argv[2] === 'run') {
  console.log(JSON.stringify({ argv: process.argv.slice(2), eth0: networkInterfaces().eth0[0].address }))
  process.on('SIGHUP', () => console.log('hup'))
  process.on('SIGTERM', () => process.exit(0))
  setTimeout(() => writeFileSync(ready, ''), 200)
  setInterval(() => undefined, 1000)
} else process.exit(existsSync(ready) ? 0 : 5)
`

test('config, readiness, signals and commands of the program under test', async () => {
  const program = join(lab().directory, 'stand-in.cjs')
  await writeFile(program, STAND_IN)
  process.env['EMBARGOD_LAB_PROGRAM'] = program
  try {
    expect(await lab().cli(['status'])).toMatchObject({ code: 5 })
    const daemon = await lab().daemon({ config: 'allow: [allowed.example]', args: ['--confirm', '5s'] })
    expect(await lab().cli(['status'])).toMatchObject({ code: 0 })
    const { configFile } = lab().embargod
    expect((await stat(configFile)).mode & 0o777).toBe(0o600)
    const config = await readFile(configFile, 'utf8')
    expect(config).toContain(`docker: { socket: ${lab().engine.socket} }`)
    expect(config).toContain(`state: ${lab().embargod.stateDirectory}`)
    expect(JSON.parse(daemon.logs)).toEqual({
      argv: ['run', '--config', configFile, '--confirm', '5s'],
      eth0: HOST.address,
    })
    await daemon.hup('allow: []')
    await lab().waitFor('the daemon hears SIGHUP', () => daemon.logs.includes('hup'))
    expect(await readFile(configFile, 'utf8')).toContain('allow: []')
    expect(await daemon.term()).toBe(0)
    const killed = await lab().daemon({ config: 'allow: []' })
    expect(await killed.kill()).toBe(137)
  } finally {
    delete process.env['EMBARGOD_LAB_PROGRAM']
  }
})
