import { join, resolve } from 'node:path'
import type { Environment } from './environment.ts'

/**
 * Where `docker login`, `podman login` and `skopeo login` leave what a user has logged in with, in the order
 * in which it is looked for: what REGISTRY_AUTH_FILE names, Docker's file, podman's (containers-auth.json(5);
 * go-containerregistry's DefaultKeychain looks in the same places).
 *
 * @param home the user's home folder
 * @returns absolute paths; none of them need be there
 */
export function loginFiles(environment: Environment, home: string): readonly string[] {
  const {
    DOCKER_CONFIG: docker,
    REGISTRY_AUTH_FILE: explicit,
    XDG_CONFIG_HOME: settings,
    XDG_RUNTIME_DIR: runtime,
  } = environment
  return [
    ...(explicit ? [explicit] : []),
    join(docker || join(home, '.docker'), 'config.json'),
    ...(runtime ? [join(runtime, 'containers', 'auth.json')] : []),
    join(settings || join(home, '.config'), 'containers', 'auth.json'),
  ].map((file) => resolve(file))
}
