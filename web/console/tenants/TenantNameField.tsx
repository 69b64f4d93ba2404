import { TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { tenantsQuery } from '../api.ts';
import { healthQuery } from '../health/health.ts';
import { whyNotAName } from './nameRules.ts';

export interface TenantNameFieldProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (name: string) => void;
  /** The server's word about this field. */
  readonly error?: string | undefined;
}

/** A host name for a tenant, judged while it is typed. */
export function TenantNameField({ label, value, onChange, error }: TenantNameFieldProps) {
  const problem = whyNotAName(value);
  const gateway = useQuery({ ...healthQuery, staleTime: Number.POSITIVE_INFINITY }).data?.gateway;
  const isTaken = useIsTaken(problem === undefined ? value : '');
  return (
    <TextInput
      label={label}
      description={
        value && !problem && gateway
          ? `Its address will be ${gateway.replace('https://', `https://${value}.`)}`
          : 'Part of its address: small letters, digits, hyphens.'
      }
      value={value}
      onChange={(event) => onChange(event.currentTarget.value.trim())}
      error={error ?? problem ?? (isTaken ? 'A tenant with this name exists.' : undefined)}
      maw="28rem"
      autoComplete="off"
      autoCapitalize="none"
      spellCheck={false}
      data-autofocus
    />
  );
}

function useIsTaken(name: string): boolean {
  const [settled] = useDebouncedValue(name, 300);
  const found = useQuery({ ...tenantsQuery({ q: settled }), enabled: settled.length >= 3 });
  return settled === name && (found.data?.tenants.some((tenant) => tenant.name === name) ?? false);
}
