import * as z from 'zod'
import { configSchema } from './schema.ts'

/** A JSON Schema node, as far as this project reads it. */
export interface SchemaNode {
  readonly description?: string
  readonly type?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly const?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
  /** What stands under keys that the operator chooses. */
  readonly additionalProperties?: SchemaNode | boolean
  readonly anyOf?: readonly SchemaNode[]
}

/** JSON Schema (draft-07) of the config file as an operator writes it, for editors. */
export function configJsonSchema(): object {
  return { ...jsonSchema(), title: 'embargod configuration' }
}

export function configSchemaNode(): SchemaNode {
  return jsonSchema() as SchemaNode
}

/** The keys that may stand in the map at a path of the config. */
export function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  let nodes: readonly SchemaNode[] = [configSchemaNode()]
  for (const step of path) {
    nodes = nodes.flatMap((node) => below(node, step)).flatMap((node) => [node, ...(node.anyOf ?? [])])
  }
  return nodes.flatMap((node) => Object.keys(node.properties ?? {}))
}

const below = (node: SchemaNode, step: PropertyKey): readonly SchemaNode[] => {
  const any = typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined
  const child = typeof step === 'number' ? node.items : (node.properties?.[String(step)] ?? any)
  return child === undefined ? [] : [child]
}

let made: z.core.JSONSchema.BaseSchema | undefined

function jsonSchema(): z.core.JSONSchema.BaseSchema {
  made ??= z.toJSONSchema(configSchema, { io: 'input', target: 'draft-07' })
  return made
}
