import { Radio, Stack, Text, TextInput } from '@mantine/core';
import { Notice, ProblemError } from '../../design/index.ts';
import type { Tenant } from '../api.ts';
import { TenantNameField } from '../tenants/TenantNameField.tsx';

export interface PlaceFieldProps {
  readonly tenant: Tenant;
  /** Then there is nothing that it could take the place of. */
  readonly isDeleted: boolean;
  readonly place: 'beside' | 'in-place';
  readonly onPlace: (place: 'beside' | 'in-place') => void;
  /** Of the restored tenant beside it, or of the one that is kept. */
  readonly name: string;
  readonly onName: (name: string) => void;
  /** The name of the tenant, as confirmation. */
  readonly typed: string;
  readonly onTyped: (typed: string) => void;
  readonly error: unknown;
}

/** Beside the tenant, which touches nobody, or in its place. */
export function PlaceField(props: PlaceFieldProps) {
  const { tenant, place, name, onName } = props;
  const error = isNameProblem(props.error) ? props.error : undefined;
  const problem = error && [`${error.problem.title}.`, error.problem.hint].filter(Boolean).join(' ');
  return (
    <Stack gap="md">
      <Radio.Group
        aria-label="Where to"
        value={place}
        onChange={(value) => props.onPlace(value === 'in-place' ? 'in-place' : 'beside')}
      >
        <Stack gap="sm">
          <Radio
            value="beside"
            label={props.isDeleted ? 'As a new tenant' : 'As a new tenant beside it'}
            description={
              props.isDeleted
                ? 'The deleted tenant stays deleted. Its name is held back for the one that is made of it.'
                : `${tenant.name} is not touched. Look at the copy first; the two can exchange their names later.`
            }
          />
          {!props.isDeleted && (
            <Radio
              value="in-place"
              label={`In the place of ${tenant.name}`}
              description="The restored tenant gets the name; the one of today is kept beside it. Can be undone."
            />
          )}
        </Stack>
      </Radio.Group>
      <TenantNameField
        key={place}
        label={place === 'beside' ? 'Name of the new tenant' : 'Name under which the one of today is kept'}
        value={name}
        onChange={onName}
        error={problem}
      />
      {place === 'in-place' ? (
        <>
          <Notice tone="late" title={`What will happen to the users of ${tenant.title}`}>
            <Text size="sm">
              They work on as they are until the restored tenant is ready. Then the two exchange their names in one
              step: everybody is signed out, signs in with the password of that moment, and does not see what was done
              since. That is kept under the name above, and one press exchanges the names again.
            </Text>
          </Notice>
          <TextInput
            label={
              <>
                Type <b>{tenant.name}</b> to confirm
              </>
            }
            maw="28rem"
            value={props.typed}
            onChange={(event) => props.onTyped(event.currentTarget.value)}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
        </>
      ) : (
        <Text size="sm" c="dimmed">
          Sessions, invitations and known devices are left out: its users sign in with the passwords they had then.
        </Text>
      )}
    </Stack>
  );
}

export function isNameProblem(error: unknown): error is ProblemError {
  return error instanceof ProblemError && error.problem.code.startsWith('FH_TENANT_NAME_');
}
