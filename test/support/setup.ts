import { afterEach } from 'vitest'
import { removeScratchDirectories } from './scratch.ts'

// Here and not beside the function, since a module is loaded once for many test files, and a hook holds for one of them.
afterEach(removeScratchDirectories)
