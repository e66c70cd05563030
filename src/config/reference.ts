import { configSchemaNode, type SchemaNode } from './json-schema.ts'

const ENTRY_FORMS = `An entry of \`allow\` is a text or a map.

| written | opens |
| --- | --- |
| \`api.example.com\` | 80/tcp and 443/tcp of every address that the name resolves to |
| \`api.example.com:443\`, \`api.example.com:8000-8100/tcp\`, \`time.example.com:123/udp\` | these ports |
| \`"*.example.com"\`, \`"**.example.com:443"\` | with \`dns.gateway\`: names one label below, or any number of labels; never \`example.com\` itself |
| \`198.51.100.7\`, \`198.51.100.0/24:443\`, \`2001:db8::/32\`, \`"[2001:db8::1]:443"\` | an address or a network |
| \`{ domain: db.example.com, ports: [5432/tcp], private: true }\` | the long form, with the keys below |

The long form has exactly one of \`domain\`, \`domains\`, \`cidr\`, \`cidrs\`, \`file\` and \`to\`.`

/** The page about every key of the config, in Markdown, from the descriptions in the schema. */
export function renderConfigReference(): string {
  const root = configSchemaNode()
  const sections = Object.entries(root.properties ?? {})
  const named = sections.filter(([, node]) => typeof node.additionalProperties === 'object')
  const plain = sections.filter(
    ([key, node]) =>
      node.properties === undefined && node.items === undefined && !named.some(([one]) => one === key),
  )
  const parts = [
    '# Configuration',
    `${root.description ?? ''}\n\nThe file is strict: an unknown key, a bad value or a contradiction is refused with its file, line and ` +
      'column, all problems at once; `embargod check` shows them. A file that others than root can write, or that lies below a directory that they can write, is refused too. ' +
      'Durations are `30s`, `5m`, `1h`, `1d`, also joined: `1h30m`; `100ms` where less than a second may be meant. A value that is set in two files must be the same in both.',
    '## Top-level values',
    table(plain, ''),
    ...sections.filter(([, node]) => node.properties !== undefined).map(([key, node]) => section(key, node)),
    ...named.map(([key, node]) => namedSection(key, node)),
    ...sections.filter(([, node]) => node.items !== undefined).map(([key, node]) => listSection(key, node)),
  ]
  return `${parts.join('\n\n')}\n`
}

function section(key: string, node: SchemaNode): string {
  return `## ${key}\n\n${node.description ?? ''}\n\n${table(Object.entries(node.properties ?? {}), `${key}.`)}`
}

/** A map whose keys the operator chooses. */
function namedSection(key: string, node: SchemaNode): string {
  const value = typeof node.additionalProperties === 'object' ? node.additionalProperties : {}
  return `## ${key}\n\n${node.description ?? ''}\n\n${table(Object.entries(value.properties ?? {}), `${key}.NAME.`)}`
}

function listSection(key: string, node: SchemaNode): string {
  const keys = (node.items?.anyOf ?? []).flatMap((form) => Object.entries(form.properties ?? {}))
  const heading = `## ${key}\n\n${node.description ?? ''}`
  return keys.length === 0 ? heading : `${heading}\n\n${ENTRY_FORMS}\n\n${table(keys, '')}`
}

function table(rows: readonly (readonly [string, SchemaNode])[], prefix: string): string {
  const lines = rows.flatMap(([key, node]) => rowsOf(`${prefix}${key}`, node))
  return ['| key | value | default | meaning |', '| --- | --- | --- | --- |', ...lines].join('\n')
}

function rowsOf(name: string, node: SchemaNode): string[] {
  if (node.properties !== undefined) {
    return Object.entries(node.properties).flatMap(([key, child]) => rowsOf(`${name}.${key}`, child))
  }
  const fallback = node.default === undefined ? '' : `\`${defaultText(name, node.default)}\``
  return [`| \`${name}\` | ${cell(kindOf(node))} | ${fallback} | ${cell(node.description ?? '')} |`]
}

const defaultText = (name: string, value: unknown): string =>
  /^guard\.marks?\b/.test(name) && typeof value === 'number'
    ? `0x${value.toString(16)}`
    : typeof value === 'string'
      ? value
      : JSON.stringify(value)

function kindOf(node: SchemaNode): string {
  if (node.const !== undefined) return `\`${node.const}\``
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(' or ')
  if (node.anyOf !== undefined) return [...new Set(node.anyOf.map(kindOf))].join(' or ')
  if (node.type === 'array') return `list of ${node.items === undefined ? 'values' : kindOf(node.items)}`
  if (node.type === 'string') return 'text'
  if (node.type === 'boolean') return '`true` or `false`'
  if (node.type === 'integer' && node.minimum !== undefined)
    return `${node.minimum} to ${node.maximum ?? '…'}`
  return node.type === 'object' ? 'map' : 'number'
}

const cell = (text: string): string => text.replaceAll('|', '\\|')
