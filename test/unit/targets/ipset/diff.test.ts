import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Membership, type CommentedElements } from '../../../../src/dataplane/membership.ts'
import type { SetSpec } from '../../../../src/dataplane/model.ts'
import { allowSet, deniedSet } from '../../../../src/dataplane/names.ts'
import { maxelemFor } from '../../../../src/dataplane/set-size.ts'
import { IpsetDriver } from '../../../../src/targets/ipset/driver.ts'
import { parseElements, parseHeaders } from '../../../../src/targets/ipset/parse.ts'
import { clampTimeout, renderAdd, safeComment } from '../../../../src/targets/ipset/render.ts'
import { diffSets } from '../../../../src/targets/ipset/diff.ts'
import { knownFrom, type KnownSet } from '../../../../src/targets/ipset/known.ts'
import { portList } from '../../../../src/net/ports.ts'
import { FAMILIES, type Cidr, type Hostname } from '../../../../src/net/types.ts'
import type { Policies } from '../../../../src/policy/model.ts'
import { heldAddress } from '../../../support/builders.ts'
import { FakeKernel } from '../../../support/fake-kernel.ts'

const ADDRESSES = ['203.0.113.1', '203.0.113.2', '10.0.0.1', '2001:db8::1', '2001:db8::2', 'fd00::1']
const NAMES = ['a.example.com', 'b.example.com', 'c.example.com']
const PORTS = [portList([{ protocol: 'tcp', from: 443, to: 443 }]), portList([{ protocol: 'icmp' }])]
const STATICS = new Map<string, CommentedElements>([
  [deniedSet('policy', 4), new Map([['172.18.0.0/16,br-1', 'net']])],
])

/** Comments of networks may be the very text of a name. */
const policies: fc.Arbitrary<Policies> = fc
  .array(
    fc.record({
      names: fc.dictionary(fc.constantFrom(...NAMES), fc.boolean()),
      cidrs: fc.dictionary(
        fc.constantFrom('203.0.113.1', '203.0.113.0/24', '0.0.0.0/0', '2001:db8::1'),
        fc.constantFrom('static', ...NAMES),
      ),
    }),
    { minLength: 1, maxLength: 2 },
  )
  .map((groups) => ({
    policies: [
      {
        id: 'common',
        groups: groups.map(({ names, cidrs }, index) => ({
          ports: PORTS[index] ?? portList([]),
          names: new Map(Object.entries(names) as [Hostname, boolean][]),
          cidrs: new Map(Object.entries(cidrs) as [Cidr, string][]),
        })),
        internet: [],
      },
    ],
    names: new Map(),
    patterns: new Map(),
    nextEndMs: undefined,
    digest: '',
  }))

type Held = Record<string, string[]>
const answer = fc.tuple(fc.constantFrom(...NAMES), fc.subarray(ADDRESSES))
const held: fc.Arbitrary<Held> = fc.dictionary(fc.constantFrom(...NAMES), fc.subarray(ADDRESSES))
const lookIn = (answers: Held) => (name: Hostname) => (answers[name] ?? []).map((one) => heldAddress(one))

/** Everything that a membership says of its sets. */
const contents = (membership: Membership, specs: readonly SetSpec[]) =>
  specs.map(({ name }) => [
    name,
    [...membership.elementsOf(name)]
      .toSorted()
      .map((element) => [
        element,
        membership.commentOf(name, element),
        [...membership.ownersOf(name, element)].toSorted(),
        membership.has(name, element),
      ]),
    membership.sizeOf(name),
  ])

function specsOf({ policies: all }: Policies, membership: Membership): SetSpec[] {
  const spec = (name: string, family: 4 | 6, type: SetSpec['type']): SetSpec => ({
    name,
    family,
    type,
    timeout: 600,
    maxelem: maxelemFor(membership.sizeOf(name)),
  })
  return FAMILIES.flatMap((family) => [
    ...all.flatMap(({ id, groups }) =>
      groups.map(({ ports }) => spec(allowSet(id, ports, family), family, 'hash:net')),
    ),
    spec(`embargod-revoked-${family}`, family, 'hash:ip,port,ip'),
    spec(deniedSet('policy', family), family, 'hash:net,iface'),
  ])
}

describe('membership', () => {
  test('kept up name by name is what it would be from scratch', () => {
    fc.assert(
      fc.property(policies, held, fc.array(answer, { maxLength: 20 }), (rights, first, answers) => {
        const now = { ...first }
        const kept = new Membership()
        kept.rebuild(rights, STATICS, lookIn(now))
        for (const [name, addresses] of answers) {
          now[name] = addresses
          kept.refresh(name as Hostname, lookIn(now)(name as Hostname))
        }
        const fresh = new Membership()
        fresh.rebuild(rights, STATICS, lookIn(now))
        expect(contents(kept, specsOf(rights, kept))).toEqual(contents(fresh, specsOf(rights, fresh)))
      }),
    )
  })

  test('holds a private address for entries that allow it only', () => {
    fc.assert(
      fc.property(policies, held, (rights, answers) => {
        const membership = new Membership()
        membership.rebuild(
          {
            ...rights,
            policies: rights.policies.map((policy) => ({
              ...policy,
              groups: policy.groups.map((group) => ({
                ...group,
                cidrs: new Map(),
                names: new Map([...group.names].map(([name]) => [name, false])),
              })),
            })),
          },
          new Map(),
          lookIn(answers),
        )
        for (const { name } of specsOf(rights, membership))
          for (const element of membership.elementsOf(name)) expect(element).not.toMatch(/^(10\.|fd)/)
      }),
    )
  })
})

/** A process's view of the fake's sets, as the driver reads them. */
async function read(kernel: FakeKernel): Promise<Map<string, KnownSet>> {
  const driver = new IpsetDriver(kernel.run)
  const headers = await driver.headers()
  const elements = await driver.elements(headers.map(({ name }) => name))
  return new Map(
    headers.map((header) => [header.name, knownFrom(header, elements.get(header.name) ?? [], kernel.nowMs)]),
  )
}

const write = (
  kernel: FakeKernel,
  { before, after }: { before: readonly string[]; after: readonly string[] },
) => new IpsetDriver(kernel.run).write([...before, ...after])

const state = (kernel: FakeKernel) =>
  [...kernel.sets.all.keys()]
    .toSorted()
    .map((name) => [
      name,
      [...kernel.sets.set(name).elements].map(([element, { comment }]) => `${element} ${comment}`).toSorted(),
    ])

const stranger = fc.constantFrom(
  '',
  'create embargod-old hash:net family inet maxelem 65536 timeout 9 counters comment',
  'flush embargod-denied-policy-4',
  'destroy embargod-denied-policy-6',
  'add embargod-denied-policy-4 10.9.0.0/16,eth0 timeout 600 comment "nobody"',
  'add embargod-revoked-4 10.0.0.1,tcp:443,203.0.113.9 timeout 90 comment "flow"',
)

describe('the difference of sets', () => {
  test('once written is none, and the incremental one leads where the full one does', () =>
    fc.assert(
      fc.asyncProperty(
        policies,
        held,
        fc.array(answer, { maxLength: 12 }),
        fc.uniqueArray(stranger, { maxLength: 3 }),
        async (rights, first, answers, strangers) => {
          const kernel = new FakeKernel()
          const now = { ...first }
          const membership = new Membership()
          membership.rebuild(rights, STATICS, lookIn(now))
          const known = await read(kernel)
          const start = diffSets(
            specsOf(rights, membership),
            membership,
            known,
            membership.takeDirty(),
            kernel.nowMs,
          )
          await write(kernel, start)
          start.remember()
          for (const [name, addresses] of answers) {
            now[name] = addresses
            membership.refresh(name as Hostname, lookIn(now)(name as Hostname))
          }
          const specs = specsOf(rights, membership)
          const change = diffSets(specs, membership, known, membership.takeDirty(), kernel.nowMs)
          await write(kernel, change)
          change.remember()
          const whole = new FakeKernel()
          await write(
            whole,
            diffSets(specs, membership, new Map(), { all: true, elements: new Map() }, whole.nowMs),
          )
          expect(state(kernel)).toEqual(state(whole))
          for (const line of strangers) if (line !== '') kernel.sets.line(line)
          const repair = diffSets(
            specs,
            membership,
            await read(kernel),
            { all: true, elements: new Map() },
            kernel.nowMs,
          )
          await write(kernel, repair)
          const flows = (all: ReturnType<typeof state>) =>
            all.filter(([name]) => name !== 'embargod-revoked-4')
          expect(flows(state(kernel))).toEqual(flows(state(whole)))
          const none = diffSets(
            specs,
            membership,
            await read(kernel),
            { all: true, elements: new Map() },
            kernel.nowMs,
          )
          expect([...none.before, ...none.after, ...none.summary]).toEqual([])
        },
      ),
    ))

  test('believes nothing that was not written', async () => {
    const kernel = new FakeKernel()
    const membership = new Membership()
    membership.rebuild(
      { policies: [], names: new Map(), patterns: new Map(), nextEndMs: undefined, digest: '' },
      STATICS,
      () => [],
    )
    const known = await read(kernel)
    const specs = specsOf(
      { policies: [], names: new Map(), patterns: new Map(), nextEndMs: undefined, digest: '' },
      membership,
    )
    diffSets(specs, membership, known, membership.takeDirty(), kernel.nowMs)
    expect(known.size).toBe(0)
  })

  test.each([12, 16])(
    'replaces both families of a policy with a name of %i letters at once',
    async (length) => {
      const kernel = new FakeKernel()
      const id = 'p'.repeat(length)
      const specs = FAMILIES.map((family): SetSpec => ({
        name: allowSet(id, PORTS[0] ?? portList([]), family),
        family,
        type: 'hash:net',
        timeout: 600,
        maxelem: 131_072,
      }))
      for (const { name, family } of specs)
        kernel.sets.line(
          `create ${name} hash:net family ${family === 6 ? 'inet6' : 'inet'} maxelem 65536 timeout 600 counters comment`,
        )
      // What an earlier process left half done.
      const again = diffSets(
        specs,
        new Membership(),
        await read(kernel),
        { all: true, elements: new Map() },
        kernel.nowMs,
      )
      kernel.breakAtWrite(2, 'fails')
      await expect(write(kernel, again)).rejects.toThrow('broken off')
      const change = diffSets(
        specs,
        new Membership(),
        await read(kernel),
        { all: true, elements: new Map() },
        kernel.nowMs,
      )
      await write(kernel, change)
      expect([...kernel.sets.all].map(([name, { maxelem }]) => [name, maxelem]).toSorted()).toEqual(
        specs.map(({ name }) => [name, 131_072]).toSorted(),
      )
    },
  )
})

test('a set that strangers filled has room again for what is ours', async () => {
  const kernel = new FakeKernel()
  const name = allowSet('common', PORTS[0] ?? portList([]), 4)
  const spec: SetSpec = { name, family: 4, type: 'hash:net', timeout: 600, maxelem: 2 }
  kernel.sets.line(`create ${name} hash:net family inet maxelem 2 timeout 600 counters comment`)
  for (const element of ['198.18.0.1', '198.18.0.2']) kernel.sets.line(`add ${name} ${element}`)
  const membership = new Membership()
  membership.setStatics(new Map([[name, new Map([['203.0.113.1', 'a.example.com']])]]))
  const all = { all: true, elements: new Map() }
  await write(kernel, diffSets([spec], membership, await read(kernel), all, kernel.nowMs))
  expect(state(kernel)).toEqual([[name, ['203.0.113.1 a.example.com']]])
})

describe('what the tool prints', () => {
  test('is read back, comments with anything in them included', () =>
    fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.ipV4(), { maxLength: 20 }),
        fc.string({ unit: 'binary', maxLength: 400 }),
        fc.integer({ min: -5, max: 3e6 }),
        async (addresses, comment, timeoutSeconds) => {
          const kernel = new FakeKernel()
          const driver = new IpsetDriver(kernel.run)
          await driver.write([
            'create embargod-x hash:net family inet maxelem 65536 timeout 9 counters comment',
            ...addresses.map((element) =>
              renderAdd('embargod-x', { element, timeoutSeconds, comment, packets: 3, bytes: 4 }),
            ),
          ])
          const [header] = await driver.headers()
          expect(header).toMatchObject({
            name: 'embargod-x',
            type: 'hash:net',
            family: 4,
            entries: addresses.length,
            hasTimeout: true,
            hasCounters: true,
            hasComment: true,
          })
          const elements = (await driver.elements(['embargod-x', 'embargod-gone'])).get('embargod-x') ?? []
          expect(elements.map(({ element }) => element).toSorted()).toEqual(addresses.toSorted())
          for (const one of elements)
            expect(one).toMatchObject({
              comment: safeComment(comment),
              timeoutSeconds: clampTimeout(timeoutSeconds),
              packets: 3,
              bytes: 4,
            })
        },
      ),
    ))

  test('of nothing is nothing', () => {
    expect(parseHeaders('ipset> ipset> ')).toEqual([])
    expect(parseElements('ipset> ', 0).size).toBe(0)
  })

  test('of a question names the sets that hold the element', async () => {
    const kernel = new FakeKernel()
    kernel.sets.line('create embargod-x hash:net family inet maxelem 65536 timeout 9 counters comment')
    kernel.sets.line('add embargod-x 203.0.113.0/24')
    const driver = new IpsetDriver(kernel.run)
    expect(await driver.holding([{ set: 'embargod-x', element: '203.0.113.9' }])).toEqual(
      new Set(['embargod-x']),
    )
    expect(
      await driver.holding([
        { set: 'embargod-x', element: '198.51.100.9' },
        { set: 'embargod-gone', element: '203.0.113.9' },
      ]),
    ).toEqual(new Set())
  })
})
