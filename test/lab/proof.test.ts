import { expect, test } from 'vitest'
import { useLab } from './shared-lab.ts'

const lab = useLab({ name: 'proof' })

test('a person proves both guards on every kind of network', async () => {
  await lab().network('shop', { ipv6: true })
  await lab().network('named', { bridge: 'my-bridge', ipv6: true })
  await lab().daemon({ config: 'allow: [allowed.example]\nresolver: { servers: [198.51.100.1] }\n' })
  const started = Date.now()
  const result = await lab().cli(['verify'], { timeoutMs: 60_000 })
  console.log(Date.now() - started, result)
  expect(result.code).toBe(0)
  console.log(
    (await lab().host(['ip', '-br', 'link'])).stdout,
    (await lab().host(['nft', 'list', 'tables'])).stdout,
  )
})
