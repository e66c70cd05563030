import type { Command } from 'commander'
import { referenceProgram } from '../command-reference.ts'

/** embargod(8): every command with its exit codes, from the definitions that the program itself uses. */
export function renderManPage(version: string, date: Date): string {
  const program = referenceProgram()
  const day = date.toISOString().slice(0, 10)
  return [
    `.TH EMBARGOD 8 "${day}" "embargod ${version}" "System Administration"`,
    '.SH NAME',
    'embargod \\- egress firewall for Docker hosts',
    '.SH SYNOPSIS',
    '.B embargod',
    '.I command',
    '.RI [ options ]',
    '.SH DESCRIPTION',
    roff(program.description()),
    'The daemon is',
    '.BR "embargod run" ,',
    'which systemd starts as embargod.service. SIGHUP makes it read its configuration again; SIGTERM stops it, and its rules stay in force.',
    '.SH COMMANDS',
    ...program.commands.flatMap(commandSection),
    '.SH FILES',
    ...FILES.flatMap(([path, what]) => ['.TP', `.I ${roff(path)}`, roff(what)]),
    '.SH EXIT STATUS',
    'Misuse of the command line ends with 64, any other failure with 1.',
    '.SH SEE ALSO',
    '.BR iptables (8),',
    '.BR ipset (8),',
    '.BR nft (8),',
    '.BR systemctl (1)',
    '.PP',
    '/usr/share/doc/embargod',
    '',
  ].join('\n')
}

const FILES: readonly (readonly [string, string])[] = [
  ['/etc/embargod/embargod.yaml', 'The configuration.'],
  ['/etc/embargod/conf.d/*.yaml', 'More of it; lists append.'],
  [
    '/var/lib/embargod',
    'What outlives the daemon: addresses, the last accepted configuration, the closed guard.',
  ],
  ['/run/embargod', 'The socket that commands ask the daemon over.'],
]

function commandSection(command: Command): string[] {
  let help = ''
  command.configureOutput({ writeOut: (text) => (help += text), getOutHelpWidth: () => 76 })
  command.outputHelp()
  const text = help.replace(/^Usage:.*\n+/, '').trimEnd()
  const usage = `${command.name()} ${command.usage()}`
  return [`.SS embargod ${roff(usage)}`, '.nf', ...text.split('\n').map(roff), '.fi']
}

/** A line of text that begins with a dot or a quote is not a request. */
const roff = (line: string): string =>
  line
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1')
