import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { useLab } from './shared-lab.ts'

/** `embargod check` of real files: each kind of mistake, with its place. */
const lab = useLab({ name: 'check', startEngine: false })

const file = (name = 'embargod.yaml'): string => join(lab().directory, 'check', name)

async function check(yaml: string, name = 'embargod.yaml') {
  await mkdir(dirname(file(name)), { recursive: true, mode: 0o700 })
  await lab().writeHostFile(file(name), yaml)
  return lab().cli(['check', '--config', file()])
}

describe('a config that is refused', () => {
  test.each<[kind: string, yaml: string, place: string, words: string]>([
    ['broken YAML', 'allow: [a.example,\nb: 2\n', '2:1', 'YAML'],
    ['a key twice', 'denyWith: drop\ndenyWith: reject\n', '2:1', 'twice'],
    ['an unknown key', 'alow: []\n', '1:1', 'allow'],
    ['a value of a later version', 'mode: audit\n', '1:7', 'not supported'],
    ['a bad name', 'allow:\n  - a..b\n', '2:5', 'empty label'],
    ['a wildcard without the gateway', 'allow:\n  - "*.example.com"\n', '2:5', 'gateway: true'],
    ['a bad port', 'allow:\n  - a.example:65536\n', '2:5', '65535'],
    ['ports the wrong way round', 'allow:\n  - a.example:90-80\n', '2:5', 'backwards'],
    ['host bits', 'never: [10.1.2.3/8]\n', '1:9', '10.0.0.0/8'],
    ['an allow of metadata', 'allow:\n  - 169.254.0.0/16\n', '2:5', 'metadata'],
    ['a duration without unit', 'resolver: { timeout: 3 }\n', '1:22', 'duration'],
    ['a cron that never fires', 'resolver: { sweep: "0 0 31 2 *" }\n', '1:20', 'never fires'],
    ['a contradiction', 'resolver: { maxStale: 15m }\n', '1:23', 'more than'],
    ['a missing list file', 'allow:\n  - { file: nowhere.txt }\n', '2:13', 'nowhere.txt'],
    ['a bad mark', 'guard: { mark: 3 }\n', '1:16', 'one bit'],
  ])('%s', async (_kind, yaml, place, words) => {
    const { code, stdout } = await check(yaml)
    expect(code).toBe(2)
    const line = stdout.split('\n').find((one) => one.startsWith(`${file()}:${place}: `))
    expect(line, stdout).toContain(words)
    expect(stdout).toMatch(/refused: \d+ error/)
  })

  test('every problem at once, those in conf.d and lists with their own file', async () => {
    await check('a..b\n', 'lists/partners.txt')
    await check('allow:\n  - x.example\n  - -y.example\n', 'conf.d/more.yaml')
    const { code, stdout } = await check('mode: audit\nallow:\n  - { file: lists/partners.txt }\nfoo: 1\n')
    expect(code).toBe(2)
    for (const place of [
      `${file()}:1:7: `,
      `${file()}:4:1: `,
      `${file('conf.d/more.yaml')}:3:5: `,
      `${file('lists/partners.txt')}:1:1: `,
    ])
      expect(stdout.split('\n').filter((line) => line.startsWith(place))).toHaveLength(1)
    await lab().host(['rm', '-r', dirname(file('conf.d/more.yaml'))])
  })

  test('a file that is missing, a directory, writable by others, no UTF-8, or without end', async () => {
    const { code } = await lab().cli(['check', '--config', file('nowhere.yaml')])
    expect(code).toBe(2)
    expect((await lab().cli(['check', '--config', dirname(file())])).code).toBe(2)
    await check('allow: []\n')
    await lab().host(['chmod', '666', file()])
    const writable = await lab().cli(['check', '--config', file()])
    expect(writable.code).toBe(2)
    expect(writable.stdout).toContain('written by others')
    await lab().host(['chmod', '600', file()])
    await lab().host(['sh', '-c', `printf 'allow: ["\\377\\376"]\\n' >${file()}`])
    expect((await lab().cli(['check', '--config', file()])).code).toBe(2)
    await lab().host(['sh', '-c', `yes '# padding padding padding' | head -c 20000000 >${file()}`])
    const started = Date.now()
    expect((await lab().cli(['check', '--config', file()])).code).toBe(2)
    expect(Date.now() - started).toBeLessThan(20_000)
  })
})

describe('a config that is accepted', () => {
  test('with a warning for what lets more through than it seems', async () => {
    const yaml = [
      'allow:',
      '  - a.example:any',
      '  - shop.herokuapp.com',
      'smtp: { rate: 5/minute, destinations: any }',
      '',
    ].join('\n')
    const { code, stdout } = await check(yaml)
    expect({ code, stdout }).toMatchObject({ code: 0 })
    for (const place of ['2:5', '3:5', '4:'])
      expect(stdout, place).toMatch(new RegExp(`embargod\\.yaml:${place}.*`, 'm'))
    expect(stdout).toMatch(/accepted with \d warning/)
  })

  test('and without a word more', async () => {
    const { code, stdout } = await check('allow: [a.example]\n')
    expect(code).toBe(0)
    expect(stdout.trim().split('\n')).toHaveLength(1)
  })
})
