import { configJsonSchema } from '../config/json-schema.ts'

/** `embargod schema`: the JSON Schema of the config file. */
export function schemaText(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`
}
