import { cidrContains, parseCidr } from '../../../src/net/cidr.ts'
import type { Cidr } from '../../../src/net/types.ts'

/** What the tool says when the kernel will not. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
}

export interface FakeElement {
  expiresAtMs: number
  packets: number
  bytes: number
  comment: string
}

export interface FakeSet {
  readonly type: string
  readonly family: 'inet' | 'inet6'
  readonly maxelem: number
  readonly timeoutSeconds: number
  readonly extras: readonly string[]
  readonly elements: Map<string, FakeElement>
}

const ADD = /^add (\S+) (\S+)(?: timeout (\d+))?(?: packets (\d+) bytes (\d+))?(?: comment "([^"]*)")?$/
const CREATE =
  /^create (\S+) (\S+) family (inet6?)(?: hashsize \d+)? maxelem (\d+) timeout (\d+)((?: counters| comment)*)$/

/** The kernel's sets: a clock for their time-outs, and a no for whatever the kernel says no to. */
export class FakeSets {
  readonly all = new Map<string, FakeSet>()

  constructor(
    private readonly nowMs: () => number,
    private readonly references: (set: string) => number,
  ) {}

  /** One line of `ipset -exist restore`. */
  line(text: string): void {
    const [verb = '', name = '', other = ''] = text.split(' ')
    switch (verb) {
      case 'create':
        return this.#create(text)
      case 'add':
        return this.#add(text)
      case 'del':
        this.set(name).elements.delete(other)
        return
      case 'flush':
        this.set(name).elements.clear()
        return
      case 'destroy':
        this.set(name)
        if (this.references(name) > 0)
          throw new Refusal('Set cannot be destroyed: it is in use by a kernel component')
        this.all.delete(name)
        return
      case 'rename':
        if (this.references(name) > 0)
          throw new Refusal('Set cannot be renamed: it is in use by another system')
        if (this.all.has(other))
          throw new Refusal('Set cannot be renamed: a set with the new name already exists')
        this.all.set(checkedName(other), this.set(name))
        this.all.delete(name)
        return
      case 'swap':
        return this.#swap(name, other)
      default:
        throw new Refusal(`Unknown argument: \`${text}'`)
    }
  }

  /** As it is now, without what has run out. */
  set(name: string): FakeSet {
    const set = this.#find(name)
    for (const [element, { expiresAtMs }] of set.elements)
      if (expiresAtMs <= this.nowMs()) set.elements.delete(element)
    return set
  }

  #find(name: string): FakeSet {
    const set = this.all.get(name)
    if (!set) throw new Refusal('The set with the given name does not exist')
    return set
  }

  /** Would a packet with this address, or exactly this element, match? */
  holds(name: string, element: string): boolean {
    const { elements } = this.set(name)
    if (elements.has(element)) return true
    const [address = '', port] = element.split(',')
    if (!('cidr' in parseCidr(address)) || element.split(',').length > 2) return false
    return [...elements.keys()].some((one) => {
      const [cidr = '', itsPort] = one.split(',')
      return itsPort === port && cidrContains(cidr as Cidr, address as Cidr)
    })
  }

  list(): string {
    return [...this.all.keys()]
      .map((name) => {
        const set = this.set(name)
        return [
          `Name: ${name}`,
          `Type: ${set.type}`,
          'Revision: 7',
          `Header: family ${set.family} hashsize 1024 maxelem ${set.maxelem} timeout ${set.timeoutSeconds}${suffix(set)} bucketsize 12 initval 0xcd52a614`,
          'Size in memory: 700',
          `References: ${this.references(name)}`,
          `Number of entries: ${set.elements.size}`,
          '',
        ].join('\n')
      })
      .join('\n')
  }

  /** The session `ipset -`: a bad line is told and the session goes on, after a fashion. */
  session(input: string): { stdout: string; stderr: string } {
    let stdout = ''
    let stderr = ''
    let broken = false
    for (const line of input.split('\n').filter((one) => one !== '')) {
      stdout += 'ipset> '
      if (line === 'quit') break
      const [verb = '', name = '', element = ''] = line.split(' ')
      try {
        // Behind a save that failed the tool answers no other.
        if (verb === 'save' && broken) throw new Refusal('Internal protocol error')
        if (verb === 'save') stdout += this.#save(name)
        else if (line === 'list -t') stdout += this.list()
        else if (verb !== 'test') throw new Refusal(`Unknown argument: \`${line}'`)
        else if (this.holds(name, element)) stderr += `Warning: ${element} is in set ${name}.\n`
        else stderr += `${element} is NOT in set ${name}.\n`
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        broken ||= verb === 'save'
        stderr += `ipset v7.17: ${error.message}\n`
      }
    }
    return { stdout, stderr }
  }

  #save(name: string): string {
    const set = this.set(name)
    const head = `create ${name} ${set.type} family ${set.family} hashsize 1024 maxelem ${set.maxelem} timeout ${set.timeoutSeconds}${suffix(set)} bucketsize 12 initval 0xcd52a614\n`
    // The kernel gives elements back in the order of its hash, which is nobody's.
    const lines = [...set.elements]
      .toReversed()
      .map(([element, { expiresAtMs, packets, bytes, comment }]) => {
        const left = Math.floor((expiresAtMs - this.nowMs()) / 1000)
        return `add ${name} ${element} timeout ${left} packets ${packets} bytes ${bytes}${comment === '' ? '' : ` comment "${comment}"`}\n`
      })
    return head + lines.join('')
  }

  #create(text: string): void {
    const [, name = '', type = '', family = '', maxelem = '', timeout = '', extras = ''] =
      CREATE.exec(text) ?? []
    if (name === '') throw new Refusal(`Syntax error: ${text}`)
    const fresh: FakeSet = {
      type,
      family: family === 'inet6' ? 'inet6' : 'inet',
      maxelem: Number(maxelem),
      timeoutSeconds: Number(timeout),
      extras: extras.trim().split(' '),
      elements: new Map(),
    }
    if (fresh.timeoutSeconds < 1 || fresh.timeoutSeconds > 2_147_483)
      throw new Refusal('Syntax error: timeout is out of range')
    const present = this.all.get(checkedName(name))
    if (!present) this.all.set(name, fresh)
    else if (shapeOf(present) !== shapeOf(fresh))
      throw new Refusal('Set cannot be created: set with the same name already exists')
  }

  #add(text: string): void {
    const [, name = '', element = '', timeout, packets, bytes, comment = ''] = ADD.exec(text) ?? []
    if (name === '' || comment.length > 255) throw new Refusal(`Syntax error: ${text}`)
    const set = this.#find(name)
    checkElement(set, element)
    let present = set.elements.get(element)
    if (present && present.expiresAtMs <= this.nowMs()) present = undefined
    if (!present && set.elements.size >= set.maxelem && this.set(name).elements.size >= set.maxelem)
      throw new Refusal('Hash is full, cannot add more elements')
    if (!present && interfacesOf(set, element) >= MOST_INTERFACES)
      throw new Refusal('Hash is full, cannot add more elements')
    const seconds = timeout === undefined ? set.timeoutSeconds : Number(timeout)
    if (seconds > 2_147_483) throw new Refusal('Syntax error: timeout is out of range')
    set.elements.set(element, {
      expiresAtMs: seconds === 0 ? Infinity : this.nowMs() + seconds * 1000,
      packets: packets === undefined ? (present?.packets ?? 0) : Number(packets),
      bytes: bytes === undefined ? (present?.bytes ?? 0) : Number(bytes),
      comment,
    })
  }

  #swap(a: string, b: string): void {
    const [one, two] = [this.set(a), this.set(b)]
    if (one.type !== two.type || one.family !== two.family)
      throw new Refusal('The sets cannot be swapped: their type does not match')
    this.all.set(a, two)
    this.all.set(b, one)
  }
}

const PORT = /^(tcp|udp|sctp):\d+$/

/** Of one network in a `hash:net,iface` set. */
const MOST_INTERFACES = 64

function interfacesOf({ type, elements }: FakeSet, element: string): number {
  if (type !== 'hash:net,iface') return 0
  const start = element.slice(0, element.indexOf(',') + 1)
  return [...elements.keys()].filter((one) => one.startsWith(start)).length
}

const suffix = ({ extras }: FakeSet): string => extras.map((extra) => ` ${extra}`).join('')

const shapeOf = ({ type, family, maxelem, timeoutSeconds, extras }: FakeSet): string =>
  [type, family, maxelem, timeoutSeconds, ...extras].join(' ')

function checkedName(name: string): string {
  if (name.length > 31) throw new Refusal(`Syntax error: setname '${name}' is longer than 31 characters`)
  return name
}

function checkElement({ type, family }: FakeSet, element: string): void {
  const parts = element.split(',')
  const fits = (text: string | undefined): boolean =>
    'cidr' in parseCidr(text ?? '') && (text ?? '').includes(':') === (family === 'inet6')
  const good =
    type === 'hash:net'
      ? parts.length === 1 && fits(parts[0]) && !element.endsWith('/0')
      : type === 'hash:net,iface'
        ? parts.length === 2 && fits(parts[0]) && /^\S{1,15}$/.test(parts[1] ?? '')
        : type === 'hash:net,port'
          ? parts.length === 2 && fits(parts[0]) && !parts[0]?.endsWith('/0') && PORT.test(parts[1] ?? '')
          : parts.length === 3 && fits(parts[0]) && PORT.test(parts[1] ?? '') && fits(parts[2])
  if (!good) throw new Refusal(`Syntax error: cannot parse ${element} for a ${type} set`)
}
