import { expect, test } from 'vitest'
import { stepsFor, subjectsOf } from '../../../../src/workloads/docker/events.ts'
import { EventLines } from '../../../../src/workloads/docker/event-lines.ts'

const eventOf = (type: string, action: string, attributes = {}, id = 'c1') => {
  const json = { Type: type, Action: action, Actor: { ID: id, Attributes: attributes } }
  const [event] = new EventLines().push(`${JSON.stringify(json)}\n`)
  if (!event) throw new Error('no event')
  return event
}

const OF_CONTAINER = { container: 'c2' }

test.each([
  ['network', 'create', {}, ['readNetworkNow']],
  ['network', 'connect', OF_CONTAINER, ['readPlaceNow']],
  ['network', 'connect', {}, ['queueNetwork']],
  ['network', 'disconnect', OF_CONTAINER, ['queueContainer']],
  ['network', 'disconnect', {}, ['queueNetwork']],
  ['network', 'destroy', {}, ['queueNetwork']],
  ['network', 'remove', {}, ['queueNetwork']],
  ['network', 'prune', {}, ['queueEverything']],
  ['container', 'create', {}, ['readListedNow']],
  ['container', 'start', {}, ['readContainerNow']],
  ['container', 'die', {}, ['queueContainer']],
  ['container', 'update', {}, ['queueContainer']],
  ['container', 'rename', { name: '/web' }, ['rename', 'queueContainer']],
  ['container', 'rename', {}, ['queueContainer']],
  ['container', 'destroy', {}, ['forgetName', 'queueContainer']],
  ['container', 'prune', {}, ['queueEverything']],
  ['daemon', 'reload', {}, ['queueEverything']],
  ['daemon', 'shutdown', {}, []],
  ['image', 'pull', {}, []],
])('%s %s %j → %j', (type, action, attributes, steps) => {
  expect(stepsFor(eventOf(type, action, attributes))).toEqual(steps)
})

test.each(['create', 'connect', 'start', 'rename'])(
  'an event that does not say what it is about has everything listed (%s)',
  (action) => {
    for (const type of ['network', 'container'])
      expect(stepsFor(eventOf(type, action, OF_CONTAINER, ''))).toEqual(['queueEverything'])
  },
)

test('an event of a network is about the container that it names, too', () => {
  expect(subjectsOf(eventOf('network', 'connect', OF_CONTAINER, 'n1'))).toEqual({
    network: 'n1',
    container: 'c2',
  })
  expect(subjectsOf(eventOf('network', 'create', {}, 'n1'))).toEqual({ network: 'n1', container: '' })
  expect(subjectsOf(eventOf('container', 'start', OF_CONTAINER))).toEqual({ network: '', container: 'c1' })
})
