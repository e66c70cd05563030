import { expect, test } from 'vitest'
import { openPorts } from '../../../src/proof/ports.ts'
import { ToolError, type Run } from '../../../src/system/exec.ts'

/** As `ip` does: it gives up a batch at a bridge that is not there. */
function host(bridges: readonly string[]) {
  const connected: string[] = []
  const run: Run = async (argv, { input = '', okExitCodes = [] } = {}) => {
    if (argv.join(' ') === 'ip -json link show type bridge') {
      const found = bridges.map((ifname, index) => ({
        ifindex: 10 + index,
        ifname,
        address: '02:42:00:00:00:01',
      }))
      return { stdout: JSON.stringify(found), stderr: '', exitCode: 0 }
    }
    for (const [, master = ''] of input.matchAll(/ master (\S+) up$/gm)) {
      if (bridges.includes(master)) connected.push(master)
      else if (okExitCodes.includes(255)) return { stdout: '', stderr: '', exitCode: 255 }
      else throw new ToolError('Device does not exist', 'failed', argv, 255, '', '')
    }
    return { stdout: '', stderr: '', exitCode: 0 }
  }
  return { run, connected }
}

test('a bridge that is gone gets no port, and keeps no other from its own', async () => {
  const { run, connected } = host(['br-a', 'br-c'])
  const ports = await openPorts(run, ['br-a', 'br-gone', 'br-c'], false)
  expect([...ports.keys()]).toEqual(['br-a', 'br-c'])
  expect(connected.toSorted()).toEqual(['br-a', 'br-c'])
})
