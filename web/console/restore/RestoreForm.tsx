import { Button, Group, Stack, Text } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { apiFetch, formatExact, isWithin, Panel, ProblemNotice, type Stretch } from '../../design/index.ts';
import type { Operation, Tenant } from '../api.ts';
import { useStepUp } from '../second-factor/StepUp.tsx';
import { whyNotAName } from '../tenants/nameRules.ts';
import { MarkList } from './MarkList.tsx';
import { MomentField } from './MomentField.tsx';
import { isNameProblem, PlaceField } from './PlaceField.tsx';
import type { Moments } from './points.ts';

export interface RestoreSearch {
  /** ISO 8601. */
  readonly to?: string | undefined;
  readonly place?: 'in-place' | undefined;
}

/** The moment and the place are in the address, so that a second person can look before the button is pressed. */
export function RestoreForm({ tenant, moments, whole }: { tenant: Tenant; moments: Moments; whole: Stretch }) {
  const search = useSearch({ strict: false }) as RestoreSearch;
  const navigate = useNavigate();
  const queryClient = useQueryClient();
  const { withStepUp } = useStepUp();
  const [at, setAt] = useState(() => startOf(search.to, whole));
  const [place, setPlace] = useState<'beside' | 'in-place'>(search.place ?? 'beside');
  const isDeleted = tenant.state === 'deleted';
  const [name, setName] = useState({
    // The name of a deleted tenant is held back for it.
    beside: isDeleted ? tenant.name : `${tenant.name}-restored`,
    'in-place': `${tenant.name}-before`,
  });
  const [typed, setTyped] = useState('');

  const remember = useDebouncedCallback((next: RestoreSearch) => {
    void navigate({
      to: '/tenants/$tenantId/restore',
      params: { tenantId: tenant.tenantId },
      search: { ...next },
      replace: true,
    });
  }, 400);
  const choose = (next: number, nextPlace = place) => {
    setAt(next);
    setPlace(nextPlace);
    remember({ to: new Date(next).toISOString(), place: nextPlace === 'in-place' ? nextPlace : undefined });
  };

  const start = useMutation({
    mutationFn: () =>
      withStepUp(() =>
        apiFetch<{ operation: Operation }>(`/api/tenants/${encodeURIComponent(tenant.tenantId)}/restore`, {
          method: 'POST',
          body: {
            newName: name[place],
            moment: { kind: 'time', time: new Date(at).toISOString() },
            ...(place === 'in-place' && { inPlace: true, confirm: typed.trim() }),
          },
        }),
      ),
    onSuccess: async ({ operation: { operationId } }) => {
      remember.cancel();
      await queryClient.invalidateQueries({ queryKey: ['operations'] });
      await navigate({ to: '/operations/$operationId', params: { operationId } });
    },
  });

  const isGood = isWithin(moments.all, at);
  const isNamed = name[place] !== '' && whyNotAName(name[place]) === undefined;
  const isConfirmed = place === 'beside' || typed.trim() === tenant.name;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isGood && isNamed && isConfirmed && !start.isPending) start.mutate();
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="lg">
        <Panel title="Moment" description="The tenant as it was then: what was committed later is left out.">
          <MomentField value={at} onChange={choose} moments={moments} whole={whole} />
        </Panel>
        {moments.marks.length > 0 && (
          <Panel title="What happened" description="To choose one is to choose the moment just before it.">
            <MarkList
              marks={moments.marks}
              chosen={at}
              isGood={(mark) => isWithin(moments.all, mark)}
              onChoose={choose}
            />
          </Panel>
        )}
        <Panel title="Where to">
          <PlaceField
            tenant={tenant}
            isDeleted={isDeleted}
            place={place}
            onPlace={(next) => {
              start.reset();
              choose(at, next);
            }}
            name={name[place]}
            onName={(next) => {
              start.reset();
              setName({ ...name, [place]: next });
            }}
            typed={typed}
            onTyped={setTyped}
            error={start.error}
          />
        </Panel>
        {!isNameProblem(start.error) && <ProblemNotice error={start.error} />}
        <Group gap="md">
          <Button
            type="submit"
            {...(place === 'in-place' && { color: 'red' })}
            disabled={!isGood || !isNamed || !isConfirmed}
            loading={start.isPending}
          >
            {place === 'in-place' ? `Restore ${tenant.name} in place` : `Restore as ${name.beside || 'a new tenant'}`}
          </Button>
          <Text size="sm" c="dimmed">
            {tenant.name} as it was at {formatExact(new Date(at))}. Some minutes per gigabyte; you can leave meanwhile.
          </Text>
        </Group>
      </Stack>
    </form>
  );
}

/** What the address says, or the newest second. */
function startOf(given: string | undefined, whole: Stretch): number {
  const at = given === undefined ? Number.NaN : Date.parse(given);
  if (Number.isFinite(at)) return at;
  return Math.max(Math.ceil(whole.from / 1_000), Math.ceil(whole.to / 1_000) - 1) * 1_000;
}
