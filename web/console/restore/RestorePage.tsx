import { Button, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useEffect } from 'react';
import {
  ButtonLink,
  EmptyState,
  ErrorState,
  LoadingState,
  Notice,
  PageTitle,
  RelativeTime,
} from '../../design/index.ts';
import { mayRestore, tenantQuery } from '../api.ts';
import { isWithoutBackups } from '../backups/api.ts';
import { tenantStateWords } from '../words.ts';
import { restorePointsQuery } from './points.ts';
import { RestoreForm, type RestoreSearch } from './RestoreForm.tsx';

/** One tenant as it was: which moment, and where to. */
export function RestorePage() {
  const { tenantId } = useParams({ strict: false }) as { tenantId: string };
  const tenant = useQuery(tenantQuery(tenantId));
  const moments = useQuery({
    ...restorePointsQuery(tenantId),
    // Somebody waits for the first moment; later ones come by themselves.
    refetchInterval: ({ state }) => (state.data && !state.data.whole ? 3_000 : 15_000),
    retry: (count, error) => !isWithoutBackups(error) && count < 2,
  });
  const search = useSearch({ strict: false }) as RestoreSearch;
  const navigate = useNavigate();
  const realId = tenant.data?.tenantId;
  // The address may name the tenant by its name, which another may have tomorrow.
  useEffect(() => {
    if (realId !== undefined && realId !== tenantId)
      void navigate({
        to: '/tenants/$tenantId/restore',
        params: { tenantId: realId },
        search: { ...search },
        replace: true,
      });
  }, [realId, tenantId, search, navigate]);
  const back = { to: `/tenants/${tenantId}`, label: tenant.data?.name ?? 'Tenant' };
  const error = tenant.error ?? (isWithoutBackups(moments.error) ? null : moments.error);
  const whole = moments.data?.whole;
  return (
    <>
      <PageTitle
        title={tenant.data ? `Restore ${tenant.data.name}` : 'Restore'}
        back={back}
        subtitle={
          whole && (
            <>
              To any second that a region can bring back; the first is <RelativeTime value={new Date(whole.from)} />.
            </>
          )
        }
      />
      <Stack gap="lg">
        {error && <ErrorState error={error} onRetry={() => void Promise.all([tenant.refetch(), moments.refetch()])} />}
        {!error && isWithoutBackups(moments.error) && (
          <EmptyState title="This installation makes no backups">
            There is nothing to restore a tenant from. Whoever runs the database server may have a backup of it.
          </EmptyState>
        )}
        {!error && (tenant.isPending || moments.isPending) && <LoadingState rows={8} />}
        {tenant.data && moments.data && !mayRestore(tenant.data) && (
          <Notice tone={tenantStateWords[tenant.data.state].tone} title="It cannot be restored now">
            {tenantStateWords[tenant.data.state].means}
          </Notice>
        )}
        {tenant.data && moments.data && mayRestore(tenant.data) && !whole && (
          <EmptyState
            title="No moment can be restored yet"
            action={
              <>
                <ButtonLink to="/backups">Go to the backups</ButtonLink>
                <Button variant="default" onClick={() => void moments.refetch()} loading={moments.isFetching}>
                  Look again
                </Button>
              </>
            }
          >
            From the end of the first base backup on, every second can be. The first is taken a minute after the first
            start, and “Back up now” takes one at once.
          </EmptyState>
        )}
        {tenant.data && moments.data && mayRestore(tenant.data) && whole && (
          <RestoreForm key={tenant.data.tenantId} tenant={tenant.data} moments={moments.data} whole={whole} />
        )}
      </Stack>
    </>
  );
}
