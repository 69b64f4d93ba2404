import { TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { tenantsQuery } from '../api.ts';
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
  const isTaken = useIsTaken(problem === undefined ? value : '');
  return (
    <TextInput
      label={label}
      description={
        value && !problem
          ? `Its address will be https://${value}.${domain()}`
          : 'Part of its address: small letters, digits, hyphens.'
      }
      value={value}
      onChange={(event) => onChange(event.currentTarget.value.trim())}
      error={error ?? problem ?? (isTaken ? 'A tenant with this name exists.' : undefined)}
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

/** On one machine both listeners share a domain; elsewhere the server's answer shows the full address. */
function domain(): string {
  return window.location.hostname.replace(/^console\./, '');
}
