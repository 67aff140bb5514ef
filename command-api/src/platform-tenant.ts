/** The tenant of streams that belong to the platform itself (staff accounts). No customer may bear the name. */
export const PLATFORM_TENANT = 'platform'
