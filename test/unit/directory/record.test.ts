import type { NewSessionRecord } from '../../../src/directory/directory.js';
import { decodeRecord, encodeRecord } from '../../../src/directory/record.js';
import type { Epoch } from '../../../src/protocol/ids.js';
import { mintWorkerId } from '../../../src/protocol/ids.js';

const record: NewSessionRecord = {
  owner: mintWorkerId('pod'),
  epoch: 7 as Epoch,
  serverId: 'support',
  principal: 'digest',
  protocolVersion: '2025-11-25',
  client: { clientInfo: { name: 'x' }, capabilities: {} },
  createdMs: 123,
  backends: { a: { generation: 2, sealed: 's', protocolVersion: '2025-06-18', capabilities: {}, transport: 'stdio' } },
};

it('reads back what it writes, and keeps the nonce to itself', () => {
  expect(decodeRecord(encodeRecord(record, 'nonce'))).toEqual({ ...record, state: 'active' });
});

it('keeps one value and one generation per backend', () => {
  const flat = encodeRecord(record, 'nonce');
  expect(flat[flat.indexOf('g:a') + 1]).toBe('2');
  expect(JSON.parse(flat[flat.indexOf('b:a') + 1] as string)).toEqual(record.backends.a);
});

it('refuses what is no record', () => {
  expect(() => decodeRecord(['owner', 'x'])).toThrow('without field "epoch"');
});
