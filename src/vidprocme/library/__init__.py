"""What we keep: blobs, the catalog of videos and jobs, the searchable timeline, exports."""
