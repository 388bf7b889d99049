// What k8s/ says, checked as far as that goes without a cluster: each object against the schemas of Kubernetes, and the things that
// have to agree with each other and with the gateway.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '../../../src/config/load.js';
import type { Config } from '../../../src/config/schema.js';

const ROOT = join(__dirname, '../../..');
const load = createRequire(__filename);
const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0;
/** What the Secret gives, and the pod's own address. */
const ENV = {
  BERTH_REDIS_URL: 'redis://redis:6379/0',
  BERTH_SECRET: 'a secret of the tests, long enough',
  BERTH_ADMIN_TOKEN: 'a token of the tests',
  FIRST_KEY_SHA256: 'a'.repeat(64),
  BERTH_INTERNAL__HOST: '10.1.2.3',
};

// biome-ignore lint/suspicious/noExplicitAny: what a manifest is, its schema says.
type Manifest = any;

interface Place {
  readonly name: string;
  readonly objects: Manifest[];
  readonly config: Config;
}

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const parseAll = (text: string): Manifest[] => parseAllDocuments(text).map((document) => document.toJS() as Manifest);

/** As kubectl makes it; where there is none, the files themselves. */
function objectsOf(folder: string): Manifest[] {
  if (hasKubectl) return parseAll(execFileSync('kubectl', ['kustomize', join(ROOT, folder)], { encoding: 'utf8' }));
  const { resources } = parse(read(`${folder}/kustomization.yaml`)) as { resources: string[] };
  return resources.flatMap((name) =>
    name.endsWith('.yaml') ? parseAll(read(`${folder}/${name}`)) : objectsOf(join(folder, name)),
  );
}

const places: Place[] = ['k8s/base', 'k8s/overlays/demo'].map((folder) => ({
  name: folder,
  objects: objectsOf(folder),
  config: loadConfig({ file: join(ROOT, folder, 'berth.yaml'), env: ENV, cwd: ROOT }).config,
}));

const find = ({ objects }: Place, kind: string, name = 'berth'): Manifest => {
  const found = objects.find((one) => one.kind === kind && (one.metadata.name as string).startsWith(name));
  if (!found) throw new Error(`no ${kind} ${name}`);
  return found;
};
const podOf = (place: Place) => find(place, 'Deployment').spec.template;

/**
 * Against the schema of its kind. Unknown fields, which the schemas let pass, are those that the check never looked at.
 * @returns what is wrong
 */
function check(object: Manifest): string[] {
  const Model = load(`kubernetes-models/${object.apiVersion}/${object.kind}`)[object.kind];
  const unread = new Set<string>();
  const watched = (value: Manifest, path: string): Manifest => {
    if (typeof value !== 'object' || value === null) return value;
    const inner: Manifest = Array.isArray(value) ? [] : {};
    for (const [key, one] of Object.entries(value)) {
      inner[key] = watched(one, `${path}/${key}`);
      if (!Array.isArray(value)) unread.add(`${path}/${key}`);
    }
    return new Proxy(inner, {
      get: (of, key) => {
        unread.delete(`${path}/${String(key)}`);
        return of[key];
      },
    });
  };
  try {
    const model = new Model({ apiVersion: object.apiVersion, kind: object.kind });
    // Assigned, not given: the constructor reads all that it is given.
    Object.assign(model, object, { spec: watched(object.spec, '/spec') }).validate();
  } catch (error) {
    return [`${object.kind} ${object.metadata?.name}: ${(error as Error).message}`];
  }
  // The schemas look into no free-form maps such as labels and requested resources.
  return [...unread]
    .filter((path) => !/\/(labels|annotations|matchLabels|selector|requests|limits)\//.test(path))
    .map((path) => `${object.kind} ${object.metadata?.name}: ${path} is unknown`);
}

describe.each(places)('$name', (place) => {
  const { objects, config } = place;

  it('is valid by the schemas of Kubernetes', () => {
    expect(objects.flatMap(check)).toEqual([]);
  });

  it('selects the pods of the gateway, and no others, wherever it selects', () => {
    const labels = { 'app.kubernetes.io/name': 'berth' };
    expect(podOf(place).metadata.labels).toEqual(labels);
    expect(find(place, 'Deployment').spec.selector.matchLabels).toEqual(labels);
    expect(find(place, 'Service').spec.selector).toEqual(labels);
    expect(find(place, 'PodDisruptionBudget').spec.selector.matchLabels).toEqual(labels);
    expect(find(place, 'NetworkPolicy').spec.podSelector.matchLabels).toEqual(labels);
    expect(podOf(place).spec.topologySpreadConstraints[0].labelSelector.matchLabels).toEqual(labels);
    expect(find(place, 'HorizontalPodAutoscaler').spec.scaleTargetRef).toMatchObject({ kind: 'Deployment', name: 'berth' });
  });

  it('gives a pod the time that its drain takes, and has no preStop', () => {
    const { spec } = podOf(place);
    const { delay, timeout } = config.drain;
    expect(delay).toBe(8000);
    expect(spec.terminationGracePeriodSeconds * 1000).toBeGreaterThanOrEqual(delay + timeout + 12_000);
    expect(spec.containers[0].lifecycle).toBeUndefined();
  });

  it('probes the pod on the admin port', () => {
    const [container] = podOf(place).spec.containers;
    const ports = Object.fromEntries(container.ports.map((one: Manifest) => [one.name, one.containerPort]));
    expect([config.listen, config.admin.listen]).toEqual([`0.0.0.0:${ports.mcp}`, `0.0.0.0:${ports.admin}`]);
    expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'admin' });
    for (const probe of [container.livenessProbe, container.startupProbe]) {
      expect(probe.httpGet).toEqual({ path: '/livez', port: 'admin' });
    }
  });

  it('lets only pods of the gateway reach the internal ports, of which there are two for each worker', () => {
    const { port } = config.internal;
    const rule = find(place, 'NetworkPolicy').spec.ingress.find((one: Manifest) => one.ports[0].endPort !== undefined);
    expect(rule.ports).toEqual([{ port, endPort: port + 2 * Number(config.workers) - 1 }]);
    expect(rule.from).toEqual([{ podSelector: { matchLabels: { 'app.kubernetes.io/name': 'berth' } } }]);
    const open = find(place, 'NetworkPolicy').spec.ingress.filter((one: Manifest) => one.from === undefined);
    expect(open).toEqual([{ ports: [{ port: 'mcp' }] }]);
  });

  it('runs as nobody, on a root that it cannot write, with room where it has to', () => {
    const { securityContext, containers, automountServiceAccountToken } = podOf(place).spec;
    expect(securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    expect(containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(containers[0].volumeMounts.map((one: Manifest) => one.mountPath).sort()).toEqual(
      ['/etc/berth', '/home/berth', '/tmp', '/var/lib/berth'].sort(),
    );
    expect(automountServiceAccountToken).toBe(false);
  });

  it('takes from the Secret what the form names, and its own address from its pod', () => {
    const [container] = podOf(place).spec.containers;
    const { stringData } = parse(read('k8s/base/secret.example.yaml')) as { stringData: Record<string, string> };
    const given = [...Object.keys(stringData), ...container.env.map((one: Manifest) => one.name)];
    expect(given.sort()).toEqual(Object.keys(ENV).sort());
    expect(Object.values(stringData).join('')).toBe('');
    expect(container.env[0].valueFrom.fieldRef.fieldPath).toBe('status.podIP');
  });

  it('shows nothing but virtual servers', () => {
    expect(config.expose).toEqual({ all: false, backends: false });
  });

  it('puts the hash of the configuration into its name', () => {
    const kustomization = parse(read(`${place.name}/kustomization.yaml`));
    expect(kustomization.configMapGenerator).toMatchObject([{ name: 'berth', files: ['berth.yaml'] }]);
    expect(kustomization.generatorOptions?.disableNameSuffixHash ?? false).toBe(false);
    // Only kubectl makes the name; where there is none, the generator of it has been looked at.
    if (!hasKubectl) return;
    const { name } = podOf(place).spec.volumes.find((one: Manifest) => one.name === 'config').configMap;
    expect(name).toMatch(/^berth-[a-z0-9]{10}$/);
    expect(find(place, 'ConfigMap').data['berth.yaml']).toContain('listen: 0.0.0.0:8080');
  });
});

it('would notice a wrong type and a field that there is not', () => {
  const budget = { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'x' } };
  expect(check({ ...budget, spec: { maxUnavailable: 1, selector: {} } })).toEqual([]);
  expect(check({ ...budget, spec: { maxUnavailable: {} } })).toHaveLength(1);
  expect(check({ ...budget, spec: { maxUnavailable: 1, selektor: {} } })).toEqual([
    'PodDisruptionBudget x: /spec/selektor is unknown',
  ]);
});

it('refuses to start with the form as it is, and says what is missing', () => {
  const empty = { ...ENV, BERTH_SECRET: '' };
  expect(() => loadConfig({ file: join(ROOT, 'k8s/overlays/demo/berth.yaml'), env: empty, cwd: ROOT })).toThrow(/secret/);
});
