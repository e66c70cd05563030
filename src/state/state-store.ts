import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { syncDirectory, writeAtomically } from '../system/atomic-file.ts'
import { inTime } from '../system/file-deadline.ts'
import { readOwn } from '../system/own-file.ts'

/** The shape of a file's body. Raise `version` when an older program would misread it. */
export interface StateFormat<T> {
  readonly version: number
  /** Also accepts what older versions wrote. Whatever it refuses is treated as corrupt. */
  readonly schema: z.ZodType<T>
}

/** Reads one file of the state directory. Undefined: there is no such file, or it cannot be used. */
export type ReadState = <T>(name: string, format: StateFormat<T>) => Promise<T | undefined>

export type Loaded<T> =
  | { readonly kind: 'loaded'; readonly value: T; readonly writtenAtMs: number }
  | { readonly kind: 'absent' }
  /** The file does not have the right shape. It was moved to `movedTo`, so nothing is lost. */
  | { readonly kind: 'corrupt'; readonly movedTo: string; readonly detail: string }
  /** A later embargod wrote the file. This one leaves it alone and does not overwrite it. */
  | { readonly kind: 'newer'; readonly version: number }

/** `full`: no space or quota left; `unwritable`: no permission or read-only; `newer`: the file on disk is of a later version. */
export class StateError extends Error {
  override readonly name = 'StateError'
  constructor(
    readonly kind: 'full' | 'unwritable' | 'newer' | 'failed',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

const envelope = z.object({ version: z.int().min(1), writtenAtMs: z.number(), body: z.unknown() })
const header = z.object({ version: z.int().min(1) })

/** A directory of small JSON files, `<name>.json`, that outlive the process. */
export class StateStore {
  /** The versions of the files on disk, so that the file of a later embargod is never overwritten. */
  readonly #versions = new Map<string, number>()

  constructor(
    readonly directory: string,
    private readonly now: () => number = Date.now,
  ) {}

  /** Moves a damaged file aside. Rejects with {@link StateError} when the file exists and cannot be read. */
  async load<T>(name: string, format: StateFormat<T>): Promise<Loaded<T>> {
    const text = await this.#read(name)
    if (text === undefined) return { kind: 'absent' }
    const json = parse(text)
    const version = header.safeParse(json).data?.version ?? 0
    this.#versions.set(name, version)
    if (version > format.version) return { kind: 'newer', version }
    const outer = envelope.safeParse(json)
    if (!outer.success) return this.#setAside(name, json === undefined ? 'no JSON' : 'no state file')
    const inner = format.schema.safeParse(outer.data.body)
    if (!inner.success) return this.#setAside(name, z.prettifyError(inner.error).slice(0, 500))
    return { kind: 'loaded', value: inner.data, writtenAtMs: outer.data.writtenAtMs }
  }

  /** As {@link load}, but leaves the file where it is, and gives undefined where it is absent or of no use. */
  async peek<T>(name: string, format: StateFormat<T>): Promise<T | undefined> {
    const outer = envelope.safeParse(parse((await this.#read(name)) ?? ''))
    if (!outer.success || outer.data.version > format.version) return undefined
    return format.schema.safeParse(outer.data.body).data
  }

  /** Rejects with {@link StateError}. The file is then as it was. */
  async save<T>(name: string, value: T, format: StateFormat<T>): Promise<void> {
    const found = this.#versions.get(name) ?? (await this.#versionOnDisk(name))
    if (found > format.version) {
      throw new StateError(
        'newer',
        `${this.#path(name)} was written by a later embargod (version ${found}): left as it is`,
      )
    }
    const content = JSON.stringify({ version: format.version, writtenAtMs: this.now(), body: value })
    try {
      await writeAtomically(this.#path(name), `${content}\n`, { makeDirectory: true })
    } catch (error) {
      throw stateError(`writing ${this.#path(name)}`, error)
    }
    this.#versions.set(name, format.version)
  }

  /** Removes the file, if there is one. Rejects with {@link StateError}. */
  async remove(name: string): Promise<void> {
    try {
      await inTime(`removing ${this.#path(name)}`, async () => {
        await rm(this.#path(name), { force: true })
        await syncDirectory(this.directory)
      })
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return
      throw stateError(`removing ${this.#path(name)}`, error)
    }
    this.#versions.delete(name)
  }

  #path(name: string): string {
    return join(this.directory, `${name}.json`)
  }

  async #versionOnDisk(name: string): Promise<number> {
    const text = await this.#read(name)
    return text === undefined ? 0 : (header.safeParse(parse(text)).data?.version ?? 0)
  }

  async #read(name: string): Promise<string | undefined> {
    try {
      return await readOwn(this.#path(name))
    } catch (error) {
      throw stateError(`reading ${this.#path(name)}`, error)
    }
  }

  async #setAside(name: string, detail: string): Promise<Loaded<never>> {
    const time = new Date(this.now()).toISOString().replaceAll(':', '')
    const movedTo = join(this.directory, `${name}.corrupt-${time}`)
    try {
      await inTime(`moving ${this.#path(name)} aside`, async () => {
        await rename(this.#path(name), movedTo)
        await syncDirectory(this.directory)
      })
    } catch (error) {
      throw stateError(`moving ${this.#path(name)} aside`, error)
    }
    this.#versions.delete(name)
    return { kind: 'corrupt', movedTo, detail }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined

function stateError(doing: string, cause: unknown): StateError {
  const code = String(codeOf(cause))
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new StateError('full', `${doing}: the disk is full`, { cause })
  if (['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR'].includes(code)) {
    return new StateError('unwritable', `${doing}: not permitted (${code})`, { cause })
  }
  return new StateError('failed', `${doing}: ${cause instanceof Error ? cause.message : code}`, { cause })
}
