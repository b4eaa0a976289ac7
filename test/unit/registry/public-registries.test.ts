import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  canonicalDomain,
  isPublicRegistry,
  sameDomain,
} from '../../../src/registry/public-registries.ts'

test('well-known registries are public, their regional subdomains and port 443 included', () => {
  const hosts = ['docker.io', 'registry-1.docker.io', 'Quay.IO', 'gcr.io', 'eu.gcr.io']

  assert.ok([...hosts, 'europe-docker.pkg.dev', 'ghcr.io:443'].every(isPublicRegistry))
})

test('hosts that only resemble a public registry are not public', () => {
  const hosts = ['quay.io.corp', 'notgcr.io', 'pkg.dev.corp', 'quay.io:5000', 'my.quay.io']

  assert.ok(!hosts.some(isPublicRegistry))
})

test('all names of Docker Hub are one domain', () => {
  assert.equal(canonicalDomain('Registry-1.docker.io'), 'docker.io')
  assert.ok(sameDomain('index.docker.io', 'docker.io'))
  assert.ok(!sameDomain('docker.io', 'hub.docker.com'))
})

test('a domain is compared without regard to case, with regard to its port', () => {
  assert.ok(sameDomain('Host.corp:5000', 'host.corp:5000'))
  assert.ok(!sameDomain('host.corp:5000', 'host.corp'))
})
