import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  canonicalDomain,
  isPublicRegistry,
  publicMirrorOf,
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
  const names = ['Registry-1.docker.io', 'index.docker.io', 'registry.hub.docker.com']
  for (const name of [...names, 'hub.docker.com', 'hub.docker.com:443', 'docker.io:443']) {
    assert.equal(canonicalDomain(name), 'docker.io', name)
    assert.ok(isPublicRegistry(name), name)
  }
  assert.ok(!sameDomain('docker.io', 'docker.com'))
  assert.ok(!sameDomain('docker.io', 'hub.docker.com.corp'))
})

test('a public registry is the same with the port of https written out', () => {
  assert.equal(canonicalDomain('Quay.io:443'), 'quay.io')
  assert.equal(canonicalDomain('docker.io:443'), 'docker.io')
  assert.equal(canonicalDomain('docker.m.daocloud.io:443'), 'docker.m.daocloud.io')
  assert.ok(sameDomain('ghcr.io:443', 'ghcr.io'))
  assert.equal(canonicalDomain('quay.io:5000'), 'quay.io:5000')
  assert.equal(canonicalDomain('hub.corp:443'), 'hub.corp:443')
})

const MANY_TENANTS = [
  'registry.cn-hangzhou.aliyuncs.com',
  'registry-vpc.ap-southeast-1.aliyuncs.com',
  'registry-internal.cn-beijing.aliyuncs.com',
  'registry.aliyuncs.com',
  'swr.cn-north-4.myhuaweicloud.com',
  'ccr.ccs.tencentyun.com',
  'hkccr.ccs.tencentyun.com',
  'us-docker.pkg.dev',
  'fra.ocir.io',
  'de.icr.io',
  'private.us.icr.io',
  'dhi.io',
  'xpkg.upbound.io',
  'registry.ollama.ai',
  'projects.registry.vmware.com',
  'rg.fr-par.scw.cloud',
  'registry.digitalocean.com',
  'm.daocloud.io',
  'ttl.sh',
]

for (const host of MANY_TENANTS) {
  test(`${host} is public: strangers can own names there`, () => {
    assert.ok(isPublicRegistry(host))
    assert.equal(publicMirrorOf(host), undefined)
  })
}

const ONE_TENANT = [
  '123456789012.dkr.ecr.eu-west-1.amazonaws.com',
  'corp.azurecr.io',
  'corp.jfrog.io',
  'corp-registry.cn-hangzhou.cr.aliyuncs.com',
  'corp-registry-vpc.cn-hangzhou.cr.aliyuncs.com',
  'corp.tencentcloudcr.com',
  'corp.swr-pro.myhuaweicloud.com',
  'registry.corp.aliyuncs.com.corp',
  'registry.nju.edu.cn',
  'dockerproxy.corp',
  'docker.corp',
  'docker.m.daocloud.io.corp',
  'hub-mirror.c.163.com:5000',
]

for (const host of ONE_TENANT) {
  test(`${host} is private: one tenant owns every name there`, () => {
    assert.ok(!isPublicRegistry(host))
  })
}

const MIRRORS: readonly [host: string, of: string][] = [
  ['docker.m.daocloud.io', 'docker.io'],
  ['K8s.m.daocloud.io:443', 'registry.k8s.io'],
  ['ghcr.nju.edu.cn', 'ghcr.io'],
  ['abc123.mirror.aliyuncs.com', 'docker.io'],
  ['0123456789abcdef.mirror.swr.myhuaweicloud.com', 'docker.io'],
  ['hub-mirror.c.163.com', 'docker.io'],
  ['mirror.gcr.io', 'docker.io'],
  ['quay.dockerproxy.com', 'quay.io'],
  ['dockerproxy.com', 'docker.io'],
]

for (const [host, of] of MIRRORS) {
  test(`${host} is a public mirror of ${of}`, () => {
    assert.equal(publicMirrorOf(host), of)
    assert.ok(isPublicRegistry(host))
  })
}

test('a domain is compared without regard to case, with regard to its port', () => {
  assert.ok(sameDomain('Host.corp:5000', 'host.corp:5000'))
  assert.ok(!sameDomain('host.corp:5000', 'host.corp'))
})
