import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { scratchDirectory } from './scratch.ts'

/** A certificate that vouches for itself, as PEM. `names` as openssl has them: `DNS:dns.example,IP:127.0.0.1`. */
export async function certificateFor(
  names: string,
): Promise<{ readonly key: string; readonly cert: string }> {
  const directory = await scratchDirectory()
  const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const made = `-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=dns.example -addext subjectAltName=${names}`
  await execa('openssl', ['req', '-x509', ...made.split(' '), '-keyout', keyFile, '-out', certFile])
  return { key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8') }
}
