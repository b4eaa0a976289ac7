/** An OCI platform (image-spec, "Image Index Property Descriptions"). */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}
