import type { FastifyError, FastifySchemaValidationError } from 'fastify';
import { type FreeholdError, kernelErrors } from '#src/kernel/index.ts';
import { httpErrors } from './errors.ts';

/** The framework's own refusals, by their documented codes; undefined for anything else. */
export function fromFastifyError(error: unknown): FreeholdError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, validation, validationContext, statusCode } = error as Partial<FastifyError>;
  if (validation) return fromValidation(validation, validationContext ?? 'request', error);
  const make = typeof code === 'string' && Object.hasOwn(byCode, code) ? byCode[code] : undefined;
  if (make) return make(error);
  // The JSON parser (forbidden keys included) and the URL decoder throw plain errors with a status.
  if (statusCode === 400 && (error instanceof SyntaxError || code === undefined))
    return kernelErrors.FH_INVALID_REQUEST({ detail: 'The body is not acceptable JSON.', cause: error });
  return undefined;
}

const invalid = (detail: string) => (cause: Error) => kernelErrors.FH_INVALID_REQUEST({ detail, cause });
const tooLarge = (detail?: string) => (cause: Error) => httpErrors.FH_BODY_TOO_LARGE({ detail, cause });
const mediaType = (cause: Error) => httpErrors.FH_MEDIA_TYPE({ cause });

const byCode: Readonly<Record<string, (cause: Error) => FreeholdError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: tooLarge(),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: mediaType,
  FST_ERR_CTP_INVALID_TYPE: mediaType,
  FST_ERR_CTP_EMPTY_JSON_BODY: invalid('The body is empty.'),
  FST_ERR_CTP_INVALID_JSON_BODY: invalid('The body is not acceptable JSON.'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: invalid('The body is not as long as its Content-Length says.'),
  FST_ERR_BAD_URL: invalid('The address is not well formed.'),
  FST_ERR_MAX_PARAM_LENGTH: (cause) => httpErrors.FH_URL_TOO_LONG({ cause }),
  FST_ERR_ROUTE_METHOD_NOT_SUPPORTED: (cause) => httpErrors.FH_METHOD_NOT_ALLOWED({ cause }),
  FST_REQ_FILE_TOO_LARGE: tooLarge('The file is larger than this address takes.'),
  FST_FILES_LIMIT: tooLarge('Too many files.'),
  FST_PARTS_LIMIT: tooLarge('Too many parts.'),
  FST_FIELDS_LIMIT: tooLarge('Too many fields.'),
  FST_PROTO_VIOLATION: invalid('A field has a forbidden name.'),
  FST_INVALID_MULTIPART_CONTENT_TYPE: mediaType,
  FST_INVALID_JSON_FIELD_ERROR: invalid('A field is not acceptable JSON.'),
  FST_MP_PREMATURE_CLOSE: invalid('The upload ended in the middle.'),
};

/** At most this many fields are named, whatever was sent. */
const maxFields = 20;

function fromValidation(
  problems: readonly FastifySchemaValidationError[],
  context: string,
  cause: Error,
): FreeholdError {
  const fields: Record<string, string> = {};
  for (const { instancePath, keyword, params, message } of problems.slice(0, maxFields)) {
    const path = instancePath.split('/').slice(1);
    if (keyword === 'required') path.push(String(params.missingProperty));
    if (keyword === 'additionalProperties') path.push(String(params.additionalProperty).slice(0, 64));
    const name = path.join('.') || context;
    // defineProperty, because a client may send a field named __proto__.
    const text = keyword === 'required' ? 'is missing' : keyword === 'additionalProperties' ? 'is not known' : message;
    Object.defineProperty(fields, name, { value: text ?? 'is not valid', enumerable: true, configurable: true });
  }
  const [first] = Object.entries(fields);
  return kernelErrors.FH_INVALID_REQUEST({ detail: first ? `${first[0]} ${first[1]}` : undefined, fields, cause });
}
