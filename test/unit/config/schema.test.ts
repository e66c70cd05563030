import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { configJsonSchema, configSchemaNode, type SchemaNode } from '../../../src/config/json-schema.ts'
import { renderConfigReference } from '../../../src/config/reference.ts'

/** Every key that the schema knows, with its node: `resolver.refresh.min`. */
function* keysOf(node: SchemaNode, path: string): Generator<[string, SchemaNode]> {
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    const name = path === '' ? key : `${path}.${key}`
    yield [name, child]
    yield* keysOf(child, name)
  }
  for (const child of [...(node.anyOf ?? []), ...(node.items === undefined ? [] : [node.items])])
    yield* keysOf(child, path)
}

/** Does the value have a shape that the schema allows? Enough of JSON Schema for the forms that ours has. */
function accepts(node: SchemaNode, value: unknown): boolean {
  if (node.anyOf !== undefined) return node.anyOf.some((form) => accepts(form, value))
  if (node.const !== undefined) return node.const === value
  if (node.enum !== undefined) return node.enum.includes(value)
  if (node.type === 'array')
    return Array.isArray(value) && value.every((item) => accepts(node.items ?? {}, item))
  if (node.type === 'object') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    return Object.entries(value).every(([key, child]) => {
      const known = node.properties?.[key]
      return known !== undefined && accepts(known, child)
    })
  }
  return node.type === (typeof value === 'number' && node.type === 'integer' ? 'integer' : typeof value)
}

describe('the JSON Schema', () => {
  it('is draft-07, strict, and describes every key', () => {
    expect(configJsonSchema()).toMatchObject({
      $schema: 'http://json-schema.org/draft-07/schema#',
      type: 'object',
      additionalProperties: false,
      title: 'embargod configuration',
    })
    const keys = [...keysOf(configSchemaNode(), '')]
    expect(keys.length).toBeGreaterThan(40)
    expect(keys.filter(([, node]) => !node.description).map(([name]) => name)).toEqual([])
  })

  it('accepts the example, and not with a key or a value changed', async () => {
    const text = await readFile(new URL('../../../deploy/embargod.example.yaml', import.meta.url), 'utf8')
    expect(accepts(configSchemaNode(), parse(text))).toBe(true)
    for (const [from, to] of [
      ['denyWith:', 'denyWidth:'],
      ['denyWith: drop', 'denyWith: deny'],
      ['private: true', 'private: 1'],
      ['block: true', 'block: maybe'],
      ['ports: [5432/tcp]', 'prots: [5432/tcp]'],
    ] as const) {
      expect(text).toContain(from)
      expect(accepts(configSchemaNode(), parse(text.replace(from, to)))).toBe(false)
    }
  })
})

describe('the reference page', () => {
  it('names every key, with its default', () => {
    const page = renderConfigReference()
    for (const [name] of keysOf(configSchemaNode(), '')) {
      if (
        /^(docker|guard|guard\.marks|resolver|resolver\.refresh|dns|metadata|smtp|verify|log|metrics|allow|never|policies)$/.test(
          name,
        )
      )
        continue
      expect(page).toContain(`| \`${name.replace(/^allow\./, '')}\` |`)
    }
    expect(page).toContain('| `guard.mark` | number | `0x20000000` |')
    expect(page).toContain('| `guard.marks.rights` | number | `0xff8` |')
    expect(page).toContain('| `resolver.refresh.max` | text | `5m` |')
    expect(page).not.toMatch(/undefined|\[object/)
  })
})
