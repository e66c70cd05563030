/** What firewall tools print when the kernel lacks a feature, and the modules that provide it. */
const SYMPTOMS: readonly { readonly text: RegExp; readonly modules: (match: RegExpExecArray) => string }[] = [
  { text: /modprobe: FATAL: Module (\S+) not found/, modules: ([, name]) => name ?? '' },
  {
    text: /can't initialize ip(6?)tables table `(\w+)'/,
    modules: ([, six, table]) => `ip${six}table_${table}`,
  },
  { text: /Cannot open session to kernel/, modules: () => 'ip_set' },
  { text: /Extension set revision \d+ not supported|Couldn't load match `set'/, modules: () => 'xt_set' },
  { text: /Couldn't load (?:match|target) `(\w+)'/, modules: ([, name]) => `xt_${name}` },
  { text: /Extension (\w+) revision \d+ not supported/, modules: ([, name]) => `xt_${name}` },
  { text: /missing kernel module/, modules: () => 'nf_tables, nft_compat, ip_set and xt_set' },
  {
    text: /Kernel doesn't support .*set type|set type not supported/i,
    modules: () => 'ip_set_hash_ip, ip_set_hash_net',
  },
]

/** One line that names the missing kernel module and how to get it; undefined when the failure has another cause. */
export function missingModuleAdvice(stderr: string): string | undefined {
  for (const { text, modules } of SYMPTOMS) {
    const match = text.exec(stderr)
    if (match === null) continue
    const names = modules(match)
    return `the kernel lacks ${names}: modprobe ${names.replace(/, | and /g, ' ')}, or install the modules of the running kernel (uname -r); in a container they must be loaded on the host`
  }
  return undefined
}
