import type { Command } from 'commander'
import { EXIT, explainUse } from './command.ts'
import type { Action, Bind, NoArgs } from './command.ts'

export const schemaAction =
  (jsonSchema: () => object): Action<NoArgs> =>
  async (_args, io) => {
    io.stdout.write(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`)
    return EXIT.ok
  }

export function defineSchema(program: Command, action: Action<NoArgs>, bind: Bind): void {
  const command = program
    .command('schema')
    .description("Print the configuration's JSON Schema, for editors.")
    .action(() => bind(action, {}))
  explainUse(command, ['embargod schema > embargod.schema.json'], { 0: 'printed' })
}
