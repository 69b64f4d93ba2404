import '@mantine/core/styles.layer.css';
import '@mantine/notifications/styles.layer.css';
import '@fontsource-variable/instrument-sans/wght.css';
import './base.css';
import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { ModalsProvider } from '@mantine/modals';
import { Notifications } from '@mantine/notifications';
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { ProblemError } from './api.ts';
import { resolveCssVariables, theme } from './theme.ts';

declare module '@tanstack/react-query' {
  interface Register {
    /** `expects401`: this request asks who somebody is or signs in, so 401 is an answer and not the end of a session. */
    queryMeta: { expects401?: boolean };
    mutationMeta: { expects401?: boolean };
  }
}

export interface FreeholdProviderProps {
  readonly children: ReactNode;
  /** Called when the session has ended (401), for example to go to the sign-in page. */
  readonly onUnauthenticated?: () => void;
  /** The page where a second factor is set up, for who must. Default: that of a tenant's account. */
  readonly secondFactorPath?: string;
}

/** Theme, colour scheme, queries, notifications and dialogs: the outermost component of every page. */
export function FreeholdProvider({
  children,
  onUnauthenticated,
  secondFactorPath = '/-/second-factor',
}: FreeholdProviderProps) {
  const [queryClient] = useState(() => createQueryClient(onUnauthenticated, secondFactorPath));
  const [colorSchemeManager] = useState(() => localStorageColorSchemeManager({ key: 'freehold-color-scheme' }));
  return (
    <MantineProvider
      theme={theme}
      cssVariablesResolver={resolveCssVariables}
      defaultColorScheme="auto"
      colorSchemeManager={colorSchemeManager}
      getStyleNonce={readStyleNonce}
    >
      <QueryClientProvider client={queryClient}>
        <ModalsProvider>
          <Notifications position="bottom-right" containerWidth={360} limit={3} />
          {children}
        </ModalsProvider>
      </QueryClientProvider>
    </MantineProvider>
  );
}

function createQueryClient(onUnauthenticated: (() => void) | undefined, secondFactorPath: string): QueryClient {
  const noticeEnd = (error: unknown, expects401: boolean | undefined) => {
    if (!(error instanceof ProblemError)) return;
    if (!expects401 && error.problem.status === 401) onUnauthenticated?.();
    // By policy, from one moment to the next: everything else waits. In a tenant the page is the platform's, whichever page this is.
    if (error.problem.code === 'FH_SECOND_FACTOR_REQUIRED') {
      const next = window.location.pathname + window.location.search;
      window.location.assign(`${secondFactorPath}?next=${encodeURIComponent(next)}`);
    }
  };
  return new QueryClient({
    queryCache: new QueryCache({ onError: (error, query) => noticeEnd(error, query.meta?.expects401) }),
    mutationCache: new MutationCache({
      onError: (error, _variables, _context, mutation) => noticeEnd(error, mutation.meta?.expects401),
    }),
    defaultOptions: {
      queries: {
        staleTime: 5_000,
        // A refusal is an answer; only an unreachable or overloaded server is worth another try.
        retry: (failures, error) =>
          failures < 2 && error instanceof ProblemError && [0, 502, 503, 504].includes(error.problem.status),
      },
      mutations: { retry: false },
    },
  });
}

/** The server puts a fresh nonce into index.html for each answer; the policy refuses style elements without it. */
function readStyleNonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? '';
}

// The scroll lock of dialogs makes a style element of its own and looks for the nonce under this name.
(globalThis as { __webpack_nonce__?: string }).__webpack_nonce__ = readStyleNonce();
