/**
 * Duffel's errors: `{meta: {status, request_id}, errors: [{type, title, message, code, documentation_url, source?}]}`.
 * Codes, types and statuses are the documented ones; those marked (guess) are not published and were chosen here.
 */
import type { Answer } from '../sandbox-server.ts'

type ErrorType =
  | 'authentication_error'
  | 'airline_error'
  | 'invalid_state_error'
  | 'rate_limit_error'
  | 'validation_error'
  | 'invalid_request_error'
  | 'api_error'

interface ErrorEntry {
  status: number
  type: ErrorType
  title: string
  message: string
}

const entry = (status: number, type: ErrorType, title: string, message: string): ErrorEntry => ({
  status,
  type,
  title,
  message,
})

const ERRORS = {
  missing_authorization_header: entry(
    401,
    'authentication_error',
    'Missing authorization header',
    "The 'Authorization' header needs to be set and contain a valid API token.",
  ),
  invalid_authorization_header: entry(
    401,
    'authentication_error',
    'Invalid authorization header',
    "The 'Authorization' header must conform to the following format: Bearer API_TOKEN.",
  ),
  access_token_not_found: entry(
    401,
    'authentication_error',
    'Access token not found',
    'The access token used is not recognized by our system.',
  ),
  missing_version_header: entry(
    400,
    'invalid_request_error',
    'Missing version header',
    "The 'Duffel-Version' header is required and must be a valid API version.",
  ),
  unsupported_version: entry(
    400,
    'invalid_request_error',
    'Unsupported version',
    "The version set to the 'Duffel-Version' header is no longer supported by the API. Please upgrade.",
  ),
  invalid_version_header: entry(
    400,
    'invalid_request_error',
    'Invalid version header',
    "The 'Duffel-Version' header must be a known version of our API as indicated in our Docs.",
  ),
  bad_request: entry(400, 'invalid_request_error', 'Bad request', 'The request was unacceptable.'),
  missing_data_param: entry(
    400,
    'invalid_request_error',
    'Missing data param',
    "The data in the request body should be nested under the 'data' key.",
  ),
  invalid_data_param: entry(
    400,
    'invalid_request_error',
    'Invalid data param',
    'The data in the request body should be a JSON object.',
  ),
  not_found: entry(404, 'invalid_request_error', 'Not found', 'The resource you are trying to access does not exist.'),
  validation_required: entry(422, 'validation_error', 'Required field', 'The field cannot be blank.'),
  validation_format: entry(422, 'validation_error', 'Invalid format', 'The field has an invalid format.'),
  validation_type: entry(422, 'validation_error', 'Invalid type', 'The field has an invalid type.'),
  validation_inclusion: entry(422, 'validation_error', 'Invalid value', 'The field must be one of a set of values.'),
  validation_length: entry(422, 'validation_error', 'Invalid length', 'The length of the field is out of bounds.'),
  unsafe_unique: entry(422, 'validation_error', 'Not unique', 'A webhook for this address exists already.'),
  // (guess)
  linked_record_not_found: entry(
    422,
    'validation_error',
    'Linked record not found',
    'The linked record does not exist.',
  ),
  not_valid_with_selected_offer: entry(
    422,
    'validation_error',
    'Not valid with selected offer',
    'The selected offer requires instant payment and cannot be held.',
  ),
  payments_not_allowed_for_order_type: entry(
    422,
    'validation_error',
    'Payments not allowed for order type',
    "Payments cannot be given when the order's type is hold.",
  ),
  order_type_not_eligible_for_payment: entry(
    422,
    'validation_error',
    'Order type not eligible for payment',
    'Only a hold order can be paid with a payment.',
  ),
  payment_amount_does_not_match_order_amount: entry(
    422,
    'validation_error',
    'Payment amount does not match order amount',
    'The amount provided in the payment does not match the total_amount of the order.',
  ),
  payment_currency_does_not_match_order_currency: entry(
    422,
    'validation_error',
    'Payment currency does not match order currency',
    'The currency provided in the payment does not match the total_currency of the order.',
  ),
  order_passengers_incompatible_with_offer: entry(
    422,
    'validation_error',
    'Order passengers incompatible with offer',
    'The passengers on the order are not compatible with the offer.',
  ),
  duplicate_passenger_name: entry(
    422,
    'validation_error',
    'Duplicate passenger name',
    'The order cannot contain more than one passenger with the same name.',
  ),
  invalid_passenger_name: entry(422, 'validation_error', 'Invalid passenger name', 'The passenger name is not valid.'),
  invalid_phone_number: entry(
    422,
    'validation_error',
    'Invalid phone number',
    'The phone number must be in E.164 format.',
  ),
  offer_no_longer_available: entry(
    422,
    'airline_error',
    'Offer no longer available',
    'The provided offer is no longer available, please select another offer or create a new offer request.',
  ),
  price_changed: entry(
    422,
    'airline_error',
    'Price changed',
    'The provided offer is no longer available for the same price, please retrieve the offer again.',
  ),
  offer_expired: entry(
    422,
    'invalid_state_error',
    'Offer expired',
    'The selected offer has already expired. Please create a new offer request.',
  ),
  offer_request_already_booked: entry(
    422,
    'invalid_state_error',
    'Offer request already booked',
    'An offer from this offer request has already been booked; please perform a new search.',
  ),
  order_creation_already_attempted: entry(
    422,
    'invalid_state_error',
    'Order creation already attempted',
    'Order creation has already been attempted for the provided offer. You should not retry this request.',
  ),
  insufficient_balance: entry(
    422,
    'invalid_state_error',
    'Insufficient balance',
    "There wasn't enough balance in the wallet for the operation.",
  ),
  already_paid: entry(422, 'invalid_state_error', 'Already paid', 'The order has already been paid for.'),
  already_cancelled: entry(422, 'invalid_state_error', 'Already cancelled', 'The order has already been cancelled.'),
  past_payment_required_by_date: entry(
    422,
    'invalid_state_error',
    'Past payment required by date',
    'The order can no longer be paid for; its space has been released.',
  ),
  // (guess)
  order_cancellation_expired: entry(
    422,
    'invalid_state_error',
    'Order cancellation expired',
    'The order cancellation has expired. Please create a new one.',
  ),
  // (guess)
  stale_order_cancellation: entry(
    422,
    'invalid_state_error',
    'Stale order cancellation',
    'Only the most recent order cancellation of an order can be confirmed.',
  ),
  order_not_cancellable: entry(
    422,
    'invalid_state_error',
    'Order not cancellable',
    'The provided order cannot be cancelled.',
  ),
  rate_limit_exceeded: entry(
    429,
    'rate_limit_error',
    'Rate limit exceeded',
    'Too many requests have hit the API too quickly. Please retry after the time in the ratelimit-reset header.',
  ),
  internal_server_error: entry(
    500,
    'api_error',
    'Internal server error',
    'There was something wrong on our end, please contact support. You should not retry this request.',
  ),
  airline_unknown: entry(
    502,
    'airline_error',
    'Airline unknown error',
    'The airline responded with an unexpected error, please contact support.',
  ),
  airline_internal: entry(
    502,
    'airline_error',
    'Airline internal error',
    'The airline has responded with an internal error, please contact support.',
  ),
  order_not_created: entry(
    502,
    'airline_error',
    'Order not created',
    'The request to create an order was not successful. You should not retry this request.',
  ),
  service_unavailable: entry(503, 'api_error', 'Service unavailable', 'There is a temporary issue with the server.'),
  gateway_timeout_error: entry(504, 'api_error', 'Gateway timeout', 'The request took too long to complete.'),
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof ERRORS

interface ErrorSource {
  field: string
  /** JSON pointer into the request body. */
  pointer: string
}

/** A refused request; handlers throw it and the server turns it into Duffel's error body. */
export class DuffelRefusal extends Error {
  readonly code: ErrorCode
  readonly source: ErrorSource | undefined

  constructor(code: ErrorCode, detail: { message?: string; field?: string; pointer?: string } = {}) {
    super(detail.message ?? ERRORS[code].message)
    this.code = code
    const { pointer } = detail
    if (pointer !== undefined)
      this.source = { pointer, field: detail.field ?? pointer.slice(pointer.lastIndexOf('/') + 1) }
  }
}

/** The answer to a refused request. */
export function refusalAnswer(refusal: DuffelRefusal, requestId: string): Answer {
  const { status } = ERRORS[refusal.code]
  return { status, body: errorBody(refusal.code, status, refusal.message, requestId, refusal.source) }
}

/**
 * Duffel's error body for a scripted status.
 *
 * code: a documented code, any other text (kept as it is), or undefined for the status' usual one.
 */
export function scriptedErrorBody(status: number, code: string | undefined, requestId: string): unknown {
  const chosen = code ?? USUAL_CODE[status] ?? 'internal_server_error'
  return errorBody(chosen, status, undefined, requestId, undefined)
}

const USUAL_CODE: Readonly<Record<number, ErrorCode>> = {
  400: 'bad_request',
  401: 'access_token_not_found',
  404: 'not_found',
  422: 'validation_format',
  429: 'rate_limit_exceeded',
  500: 'internal_server_error',
  502: 'airline_internal',
  503: 'service_unavailable',
  504: 'gateway_timeout_error',
}

function errorBody(
  code: string,
  status: number,
  message: string | undefined,
  requestId: string,
  source: ErrorSource | undefined,
): unknown {
  const known: ErrorEntry = ERRORS[code as ErrorCode] ?? ERRORS.internal_server_error
  const error = {
    type: known.type,
    title: known.title,
    message: message ?? known.message,
    documentation_url: 'https://duffel.com/docs/api/overview/response-handling',
    code,
    ...(source && { source }),
  }
  return { meta: { status, request_id: requestId }, errors: [error] }
}
