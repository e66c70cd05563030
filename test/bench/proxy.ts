import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LabContainer } from '../lab/container.ts'
import type { Lab } from '../lab/lab.ts'

/** An nginx that passes TCP on to one address, in a container's network: what people do for one domain without a firewall. */
export async function startProxy(
  lab: Lab,
  container: LabContainer,
  ports: readonly number[],
  upstream: string,
): Promise<void> {
  const conf = join(lab.directory, 'proxy.conf')
  const servers = ports.map(
    (port) => `server { listen ${port} backlog=4096; proxy_pass ${upstream}:${port}; }`,
  )
  await writeFile(
    conf,
    `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
user root;
worker_processes 1;
pid ${lab.directory}/proxy.pid;
events { worker_connections 8192; }
stream { ${servers.join(' ')} }
`,
  )
  const namespace = `--net=/proc/${await container.pid()}/ns/net`
  // Its upstream connections leave from the container's ports.
  await lab.host(['nsenter', namespace, 'sysctl', '-qw', 'net.ipv4.ip_local_port_range=1024 65535'])
  await lab.host(['nsenter', namespace, 'sysctl', '-qw', 'net.ipv4.tcp_max_tw_buckets=0'])
  lab.service('host', ['nsenter', namespace, 'nginx', '-e', 'stderr', '-c', conf])
}
