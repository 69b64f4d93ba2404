/**
 * The design system of every Freehold page (sign-in, account, console, Desk): theme, shell, states, tables, forms, and
 * the way pages talk to their server. Components of Mantine are used directly; what is here gives them our look,
 * words and habits. Invariants: nothing is fetched from another origin, no inline script, style elements carry the
 * server's nonce, a state is never told by colour alone.
 *
 * A page bundle: index.html from the pattern in web/console/index.html; `mountPage(<RouterProvider … />, …)` in its main.tsx.
 */
export { AccountMenu, type AccountMenuProps } from './AccountMenu.tsx';
export {
  type ApiRequest,
  apiDownload,
  apiFetch,
  apiUpload,
  type Problem,
  ProblemError,
  toProblem,
  type UploadRequest,
} from './api.ts';
export { CodeInput, type CodeInputProps } from './CodeInput.tsx';
export { ColorSchemeSwitch } from './ColorSchemeSwitch.tsx';
export { ConfirmByName, type ConfirmByNameProps } from './ConfirmByName.tsx';
export { CopyableId, CopyableLine } from './CopyableId.tsx';
export { type Column, DataTable, type DataTableProps, type Sort } from './DataTable.tsx';
export { FreeholdProvider, type FreeholdProviderProps } from './FreeholdProvider.tsx';
export { RuleList, SearchField, type SearchFieldProps, StrengthBar, showFieldProblems } from './fields.tsx';
export { RelativeTime, SizeText } from './figures.tsx';
export { formatBytes, formatCount, formatDuration, formatExact, formatPlural, formatRelative } from './format.ts';
export * from './icons.ts';
export { leaveAccount } from './leave.ts';
export { ButtonLink, TextLink } from './links.tsx';
export { type LiveEventsOptions, type LiveState, useLiveEvents } from './liveEvents.ts';
export { Mark } from './Mark.tsx';
export { fromLocalInput, isWithin, nearestSeconds, type Stretch, toLocalInput, unite } from './moments.ts';
export { mountPage } from './mountPage.tsx';
export { NewPassword, type NewPasswordProps, type PasswordVerdict } from './NewPassword.tsx';
export { safeNext } from './next.ts';
export { notifyDone, notifyProblem } from './notify.ts';
export { CenteredShell, type NavItem, PageShell, type PageShellProps } from './PageShell.tsx';
export { PageTitle, type PageTitleProps, useDocumentTitle } from './PageTitle.tsx';
export { Fact, Facts, Panel, type PanelProps } from './Panel.tsx';
export { ProgressSteps, type ProgressStepsProps, type Step } from './ProgressSteps.tsx';
export { RecoveryCodes } from './RecoveryCodes.tsx';
export { codeProblem, nameProblem, passwordProblem } from './refusals.ts';
export { SecondStepForm, type SecondStepFormProps, SignInOver } from './SecondStepForm.tsx';
export { type BegunApp, SetUpApp, type SetUpAppProps } from './SetUpApp.tsx';
export { SignInForm, type SignInFormProps } from './SignInForm.tsx';
export { StateBadge, type Tone } from './StateBadge.tsx';
export { signOut } from './sign-out.ts';
export { EmptyState, ErrorState, LoadingState, Notice, ProblemNotice } from './states.tsx';
export { type ChartPoint, TimeChart, type TimeChartProps } from './TimeChart.tsx';
export { TimeSlider, type TimeSliderProps } from './TimeSlider.tsx';
export {
  type Confirmation,
  type ConfirmationProps,
  type Shown,
  useConfirmationFields,
} from './useConfirmationFields.tsx';
