import type { Command } from 'commander'
import { configJsonSchema } from '../config/json-schema.ts'
import { EXIT, explainUse } from './command.ts'
import type { Action, Bind, NoArgs } from './command.ts'

export const schemaText = (): string => `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`

export const schemaAction: Action<NoArgs> = async (_args, io) => {
  io.stdout.write(schemaText())
  return EXIT.ok
}

export function defineSchema(program: Command, action: Action<NoArgs>, bind: Bind): void {
  const command = program
    .command('schema')
    .description("Print the configuration's JSON Schema, for editors.")
    .action(() => bind(action, {}))
  explainUse(command, ['embargod schema > embargod.schema.json'], { 0: 'printed' })
}
